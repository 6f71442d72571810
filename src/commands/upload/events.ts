import { Type } from '@sinclair/typebox'
import { DigestText, RepositoryText, Size, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** The bytes are stored, and the repository holds them from here on. Each upload is a stream of its own: parallel layers never conflict. */
export const BlobUploaded = eventType('BlobUploaded', Type.Object({ repository: RepositoryText, digest: DigestText, size: Size }, closed))

/** A repository came to hold a blob that its mounter could pull from another. */
export const BlobMounted = eventType(
  'BlobMounted',
  Type.Object({ repository: RepositoryText, digest: DigestText, size: Size, from: RepositoryText }, closed),
)

export type UploadFact = FactOf<typeof BlobUploaded> | FactOf<typeof BlobMounted>
