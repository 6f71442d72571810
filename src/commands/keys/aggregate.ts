import type { Event } from '../../ports/event.ts'
import type { Sealed } from '../../ports/key-store.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import { SigningKeyMade } from './events.ts'
import type { KeysFact } from './events.ts'

/** A new pair, where the newest is still the one that was found old: two processes that find so make one. */
export type RotateKeys = {
  readonly after: string | undefined
  readonly kid: string
  readonly notBefore: Date
  readonly publicKey: string
  readonly privateKey: Sealed
}

type KeysState = { readonly revision: number; readonly newest: string | undefined }

/** The registry's keys. There are few, so the whole stream is folded. */
export const keysAggregate: Aggregate<KeysState, RotateKeys, KeysFact> = {
  stream: streams.keys,
  load: () => Promise.resolve({ revision: -1, newest: undefined }),
  evolve: (state, event: Event<KeysFact>) => ({
    revision: state.revision + 1,
    newest: event.type === 'SigningKeyMade' ? event.data.kid : state.newest,
  }),
  decide: ({ newest }, { after, kid, notBefore, publicKey, privateKey }) =>
    newest === after ? [SigningKeyMade({ kid, notBefore: notBefore.toISOString(), publicKey, privateKey })] : [],
}
