import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/names.ts'
import type { Event } from '../../ports/event.ts'
import type { RepositoryFact } from './events.ts'

/** A repository, as far as a command names it: what the command does not name, its state does not hold. */
export type RepositoryState = {
  readonly revision: number
  readonly exists: boolean
  /** The named tags that point somewhere. */
  readonly tags: ReadonlyMap<Tag, Digest>
  /** The named manifests that were ever pushed here: live or ended. */
  readonly manifests: ReadonlyMap<Digest, boolean>
  /** The named blobs that it ever rightfully held: held now or not. */
  readonly blobs: ReadonlyMap<Digest, boolean>
}

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
