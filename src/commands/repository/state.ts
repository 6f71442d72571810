import type { RepositoryRows } from '../../ports/decision-rows.ts'
import type { Event } from '../../ports/event.ts'
import type { RepositoryFact } from './events.ts'

/** A repository, as far as a command names it: what the command does not name, its state does not hold. */
export type RepositoryState = RepositoryRows

export function evolve(state: RepositoryState, event: Event<RepositoryFact>): RepositoryState {
  const next = { ...state, revision: state.revision + 1 }
  switch (event.type) {
    case 'RepositoryCreated':
      return { ...next, exists: true }
    case 'ManifestPushed':
      return { ...next, manifests: new Map(state.manifests).set(event.data.digest, true) }
    case 'TagAssigned':
      return { ...next, tags: new Map(state.tags).set(event.data.tag, event.data.digest) }
    case 'TagDeleted':
      return { ...next, tags: new Map([...state.tags].filter(([tag]) => tag !== event.data.tag)) }
    case 'ManifestDeleted':
      return {
        ...next,
        manifests: new Map(state.manifests).set(event.data.digest, false),
        tags: new Map([...state.tags].filter(([, digest]) => digest !== event.data.digest)),
      }
    case 'BlobDeleted':
      return { ...next, blobs: new Map(state.blobs).set(event.data.digest, false) }
  }
}
