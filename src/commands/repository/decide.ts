import type { Digest } from '../../oci/digest.ts'
import { refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import type { Tag } from '../../oci/names.ts'
import { BlobDeleted, ManifestDeleted, ManifestPushed, RepositoryCreated, TagAssigned, TagDeleted } from './events.ts'
import type { RepositoryFact } from './events.ts'
import type { RepositoryState } from './state.ts'

export type PushManifest = {
  readonly type: 'PushManifest'
  readonly digest: Digest
  readonly mediaType: string
  readonly sizeBytes: number
  readonly subject?: Digest
  /** Tags to point at it; each once. */
  readonly tags: readonly Tag[]
  /** The tags and digests as asked. */
  readonly references: readonly string[]
  readonly blobs: readonly Digest[]
  readonly children: readonly Digest[]
  /** Whether it may name blobs and children that are not here. */
  readonly sparse: boolean
}

export type RepositoryCommand =
  | PushManifest
  | { readonly type: 'DeleteTag'; readonly tag: Tag }
  | { readonly type: 'DeleteManifest'; readonly digest: Digest }
  | { readonly type: 'DeleteBlob'; readonly digest: Digest }

/** A sparse manifest may lack this many: the event names them, and an event is bounded. */
const MAX_MISSING = 1_000
const MAX_SHOWN = 100

export function decide(state: RepositoryState, command: RepositoryCommand): readonly RepositoryFact[] | Refusal {
  switch (command.type) {
    case 'PushManifest':
      return pushManifest(state, command)
    case 'DeleteTag': {
      const digest = state.tags.get(command.tag)
      return digest === undefined ? refusal('MANIFEST_UNKNOWN', `there is no tag ${command.tag}`) : [TagDeleted({ tag: command.tag, digest })]
    }
    case 'DeleteManifest':
      if (state.manifests.get(command.digest) !== true) return refusal('MANIFEST_UNKNOWN', `there is no manifest ${command.digest}`)
      return [ManifestDeleted({ digest: command.digest })]
    case 'DeleteBlob':
      if (state.blobs.get(command.digest) !== true) return refusal('BLOB_UNKNOWN', `there is no blob ${command.digest}`)
      return [BlobDeleted({ digest: command.digest })]
  }
}

function pushManifest(state: RepositoryState, command: PushManifest): readonly RepositoryFact[] | Refusal {
  const { digest, mediaType, sizeBytes, subject, references } = command
  const missing = [
    ...command.blobs.filter((blob) => !state.blobs.has(blob)),
    ...command.children.filter((child) => state.manifests.get(child) !== true),
  ]
  if (missing.length > (command.sparse ? MAX_MISSING : 0)) {
    const detail = missing.slice(0, MAX_SHOWN).map((each) => ({ digest: each }))
    return refusal('MANIFEST_BLOB_UNKNOWN', `the manifest names ${missing.length} blobs or manifests that are not here`, { detail })
  }
  const assigned = command.tags.flatMap((tag) => {
    const replaces = state.tags.get(tag)
    if (replaces === digest) return []
    return [TagAssigned(replaces === undefined ? { tag, digest } : { tag, digest, replaces })]
  })
  const unchanged = state.manifests.get(digest) === true && assigned.length === 0
  return [
    ...(state.exists ? [] : [RepositoryCreated({})]),
    ManifestPushed({
      digest,
      mediaType,
      size: sizeBytes,
      references: [...references],
      ...(subject === undefined ? {} : { subject }),
      ...(missing.length === 0 ? {} : { missing }),
      ...(unchanged ? { unchanged } : {}),
    }),
    ...assigned,
  ]
}
