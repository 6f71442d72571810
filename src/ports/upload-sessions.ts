import type { DigestAlgorithm } from '../oci/digest.ts'
import type { UploadId } from './blob-store.ts'
import type { RepositoryKey } from './streams.ts'

export type UploadSession = { readonly repository: RepositoryKey; readonly algorithm: DigestAlgorithm }

/** Which repository each open upload belongs to: operational state, which may be lost (the client starts anew). */
export interface UploadSessions {
  create(id: UploadId, session: UploadSession): Promise<void>
  get(id: UploadId): Promise<UploadSession | undefined>
  remove(id: UploadId): Promise<void>
  /** Forgets sessions begun before a time; returns how many. */
  purge(before: Date): Promise<number>
}
