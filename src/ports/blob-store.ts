import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import { isUuid } from './uuid.ts'

/** A span of bytes, both ends included, as HTTP counts them: `0 <= first <= last < size`. */
export type ByteRange = { readonly first: number; readonly last: number }

export type BlobStat = { readonly digest: Digest; readonly sizeBytes: number }

/** A lower-case UUID. */
export type UploadId = string & { readonly __brand: 'UploadId' }

/** Reads the form only, of a text that a client gave; undefined where it has another. Whether there is such an upload, the store knows. */
export function parseUploadId(text: string): UploadId | undefined {
  return isUuid(text) ? (text as UploadId) : undefined
}

/** What became of a commit. `digest-mismatch` leaves the upload open, its bytes kept; `busy`: another request writes to it. */
export type CommitResult =
  | { readonly status: 'committed'; readonly sizeBytes: number }
  | { readonly status: 'digest-mismatch'; readonly actual: Digest }
  | { readonly status: 'unknown-upload' }
  | { readonly status: 'busy' }

/**
 * What became of an append. `busy`: another request writes to this upload at this moment, and not a byte of this one was taken.
 * `no-space`: free space is under the reserve.
 */
export type AppendResult =
  | { readonly status: 'appended'; readonly sizeBytes: number }
  | { readonly status: 'wrong-offset'; readonly sizeBytes: number }
  | { readonly status: 'unknown-upload' }
  | { readonly status: 'busy' }
  | { readonly status: 'no-space' }

/** A blob of at most this size may be read whole: its readers share the bytes, and one write answers each. */
export const MAX_WHOLE_BYTES = 1024 * 1024

/**
 * A blob's bytes. Who asks for the next piece with `sent` has no use for the one before any more, and nor has anybody to whom it gave
 * it: its memory may be written over from then on. Who asks without it, as `for await` does, may keep what it got.
 */
export type Pieces = AsyncGenerator<Buffer, void, 'sent' | undefined>

/** A blob that is read by position. */
export type BlobReader = {
  /** Fills `memory` with the bytes from `first` on, and answers it. Rejects where the blob has fewer. */
  read(first: number, memory: Buffer): Promise<Buffer>
  close(): Promise<void>
}

/**
 * Bytes by their digest. It knows nothing of repositories: who may read a blob is decided before it is asked.
 * Every method that can wait takes a signal; an aborted one rejects with the signal's reason and leaves what was written so far.
 */
export interface BlobStore {
  /** Opens an upload whose bytes will be hashed with `algorithm` as they come. */
  openUpload(algorithm: DigestAlgorithm): Promise<UploadId | 'no-space'>
  /** The number of bytes received, or undefined where there is no such upload. */
  uploadSize(id: UploadId): Promise<number | undefined>
  /**
   * Adds bytes at `offset` (undefined: at the end, whatever it is). When the source fails, the bytes that came before are kept
   * and the source's error is thrown.
   */
  append(id: UploadId, offset: number | undefined, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<AppendResult>
  /** Durable when it answers: file synced, digest compared, linked, folder synced. The upload is gone then. */
  commit(id: UploadId, digest: Digest, signal?: AbortSignal): Promise<CommitResult>
  /** Forgets an upload and its bytes; false where there was none. An append under way ends as `unknown-upload`. */
  cancel(id: UploadId): Promise<boolean>
  /** Cancels uploads untouched since `before`; returns how many. */
  purgeUploads(before: Date): Promise<number>
  /** Stores small bytes whole (manifests), as durable as `commit`; nothing to do where they are there. */
  put(digest: Digest, bytes: Uint8Array): Promise<'stored' | 'no-space'>
  /** A blob's size, or undefined where it is absent. */
  stat(digest: Digest): Promise<BlobStat | undefined>
  /** The bytes of a range (undefined: all), or undefined where the blob is absent. The consumer that stops early closes the source. */
  open(digest: Digest, range?: ByteRange): Promise<Pieces | undefined>
  /** A blob to be read by position, or undefined where it is absent. Close it. */
  reader(digest: Digest): Promise<BlobReader | undefined>
  /** A small blob whole, or undefined where it is absent. */
  read(digest: Digest): Promise<Buffer | undefined>
  /** Every blob there is, in no order. */
  list(): AsyncIterable<BlobStat>
  /** Moves a corrupt blob aside, so that the next push heals it. Returns where to. */
  quarantine(digest: Digest): Promise<string>
  /** Removes a blob durably; nothing to do where it is absent. Whether anything refers to it is decided before. */
  delete(digest: Digest): Promise<void>
}
