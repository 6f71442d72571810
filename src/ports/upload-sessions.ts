import type { DigestAlgorithm } from '../oci/digest.ts'
import type { UploadId } from './blob-store.ts'
import type { RepositoryKey } from './streams.ts'

export type UploadSession = { readonly repository: RepositoryKey; readonly algorithm: DigestAlgorithm }

/** Which repository each open upload belongs to: operational state, which may be lost (the client starts anew). */
export interface UploadSessions {
  /** Rejects where there is one of that id. */
  create(id: UploadId, session: UploadSession): Promise<void>
  /** Undefined where it was removed or lost. */
  get(id: UploadId): Promise<UploadSession | undefined>
  /** Nothing to do where there is none. */
  remove(id: UploadId): Promise<void>
  /** The uploads that were begun before a time. They may still be written to: whether they are, the blob store knows. */
  begunBefore(time: Date): Promise<UploadId[]>
}
