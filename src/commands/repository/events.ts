import { Type } from '@sinclair/typebox'
import { DigestText, Size, TagText, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** Stands in the append of the repository's first manifest. Which repository, the stream says. */
export const RepositoryCreated = eventType('RepositoryCreated', Type.Object({}, closed))

/**
 * A manifest was pushed, new or again. `references` are the tags and digests as asked; `missing` are what it names and the
 * repository never held (blobs) or does not hold (children). `unchanged` where it was live and no tag moved. It links again every
 * blob that it names and the repository ever rightfully held. The rest stands in the manifest, whose bytes are kept always.
 */
export const ManifestPushed = eventType(
  'ManifestPushed',
  Type.Object(
    {
      digest: DigestText,
      mediaType: Type.String({ minLength: 1, maxLength: 255 }),
      size: Size,
      subject: Type.Optional(DigestText),
      references: Type.Array(Type.String({ minLength: 1, maxLength: 255 })),
      missing: Type.Optional(Type.Array(DigestText, { minItems: 1 })),
      unchanged: Type.Optional(Type.Literal(true)),
    },
    closed,
  ),
)

/** A tag points at another digest than before: its first, or a new one in the place of `replaces`. */
export const TagAssigned = eventType(
  'TagAssigned',
  Type.Object({ tag: TagText, digest: DigestText, replaces: Type.Optional(DigestText) }, closed),
)

/** A tag alone: the manifest it pointed at stays. */
export const TagDeleted = eventType('TagDeleted', Type.Object({ tag: TagText, digest: DigestText }, closed))

/** Ends the manifest and every tag that points at it. */
export const ManifestDeleted = eventType('ManifestDeleted', Type.Object({ digest: DigestText }, closed))

/** The repository holds the blob no longer; its bytes stay. */
export const BlobDeleted = eventType('BlobDeleted', Type.Object({ digest: DigestText }, closed))

export const repositoryEvents = [RepositoryCreated, ManifestPushed, TagAssigned, TagDeleted, ManifestDeleted, BlobDeleted] as const

export type RepositoryFact = FactOf<(typeof repositoryEvents)[number]>
