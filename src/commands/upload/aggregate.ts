import type { Event } from '../../ports/event.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import type { UploadFact } from './events.ts'

type UploadState = { readonly revision: number }

/** An upload's stream holds one event, how it ended: what is said of it a second time is not said again. */
export function uploadAggregate(id: string): Aggregate<UploadState, UploadFact, UploadFact> {
  return {
    stream: streams.upload(id),
    own: true,
    load: () => Promise.resolve({ revision: -1 }),
    evolve: (state: UploadState, _event: Event<UploadFact>) => ({ revision: state.revision + 1 }),
    decide: (state, ended) => (state.revision === -1 ? [ended] : []),
  }
}
