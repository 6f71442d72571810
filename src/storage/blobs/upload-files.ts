import { createHash, randomUUID } from 'node:crypto'
import { constants, mkdir, open, opendir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { algorithmOf, digestFromHash } from '../../oci/digest.ts'
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import { parseUploadId } from '../../ports/blob-store.ts'
import type { AppendResult, BlobStore, CommitResult, UploadId } from '../../ports/blob-store.ts'
import { hasCode, syncFolder } from '../durable.ts'
import type { BlobFiles } from './blob-files.ts'
import { openFile, removed, sizeOf } from './maybe-there.ts'
import { readPieces } from './reading.ts'
import { untilAborted } from './until-aborted.ts'
import { createUploadWriter, isFull } from './upload-writer.ts'
import type { RunningHash } from './upload-writer.ts'

/** Who writes to an upload: at most one at a time. `finishing`: all that it will write has come. */
type Writer = { readonly cancelled: AbortController; readonly ended: Promise<void>; finishing: boolean }
type Claim = { readonly cancelled: AbortSignal; readonly finish: () => void; readonly release: () => void }

export type UploadFiles = Pick<BlobStore, 'openUpload' | 'uploadSize' | 'append' | 'commit' | 'cancel' | 'purgeUploads'> & {
  /** A name in the same file system that nobody has, for a file that is not kept: what is left of it goes with the old uploads. */
  readonly temporaryPath: () => string
}

/**
 * Uploads that are open: `uploads/<uuid>`, one writer each. One whose file has a second name was committed by a process that died
 * before it could answer: it takes no more bytes.
 */
export async function openUploadFiles(root: string, hasSpace: () => Promise<boolean>, place: BlobFiles['place']): Promise<UploadFiles> {
  const uploads = join(root, 'uploads')
  await mkdir(uploads, { recursive: true })
  const hashes = new Map<UploadId, RunningHash>()
  const writers = new Map<UploadId, Writer>()
  const uploadPath = (id: UploadId) => join(uploads, id)

  function claim(id: UploadId): Claim | undefined {
    if (writers.has(id)) return undefined
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const writer: Writer = { cancelled: new AbortController(), ended: promise, finishing: false }
    writers.set(id, writer)
    const finish = () => {
      writer.finishing = true
    }
    const release = () => {
      writers.delete(id)
      resolve(undefined)
    }
    return { cancelled: writer.cancelled.signal, finish, release }
  }

  /** A client whose connection broke goes on at once: what its last request still writes is waited for, and is no rival. */
  async function finished(id: UploadId): Promise<void> {
    for (let writer = writers.get(id); writer?.finishing === true; writer = writers.get(id)) await writer.ended
  }

  /** Forgets an upload that the caller has claimed. */
  async function removeUpload(id: UploadId): Promise<boolean> {
    hashes.delete(id)
    return removed(uploadPath(id))
  }

  async function appendTo(
    file: FileHandle, id: UploadId, offset: number | undefined, source: AsyncIterable<Uint8Array>, signal: AbortSignal, finish: () => void,
  ): Promise<AppendResult> {
    const { size, nlink } = await file.stat()
    if (nlink !== 1) return { status: 'unknown-upload' }
    if (offset !== undefined && offset !== size) return { status: 'wrong-offset', sizeBytes: size }
    if (!(await hasSpace())) return { status: 'no-space' }

    const writer = createUploadWriter(file, size, hashes.get(id), hasSpace)
    let stored = true
    try {
      for await (const chunk of untilAborted(source, signal)) if (!(await writer.add(chunk))) return { status: 'no-space' }
    } finally {
      finish()
      // Also where the source failed: the bytes that came before are kept.
      try {
        stored = await writer.end()
      } catch (error) {
        // Bytes that could not be written or synced may be lost, and a later sync would not tell.
        await removeUpload(id)
        throw error
      }
    }
    return stored ? { status: 'appended', sizeBytes: writer.sizeBytes() } : { status: 'no-space' }
  }

  async function commitClaimed(id: UploadId, digest: Digest, signal: AbortSignal | undefined): Promise<CommitResult> {
    const file = await openFile(uploadPath(id), constants.O_RDWR)
    if (file === undefined) return { status: 'unknown-upload' }
    try {
      await synced(file, id)
      const { size } = await file.stat()
      let running = hashes.get(id)
      if (running?.algorithm !== algorithmOf(digest) || running.hashed !== size) {
        running = await hashFile(file, size, algorithmOf(digest), signal)
        hashes.set(id, running)
      }
      const actual = digestFromHash(running.algorithm, running.hash.copy())
      if (actual !== digest) return { status: 'digest-mismatch', actual }
      const folder = await place(uploadPath(id), digest, size)
      await Promise.all([syncFolder(folder), removeUpload(id)])
      return { status: 'committed', sizeBytes: size }
    } finally {
      await file.close()
    }
  }

  async function synced(file: FileHandle, id: UploadId): Promise<void> {
    try {
      await file.sync()
    } catch (error) {
      // The bytes may be lost, and the next sync would not tell: nobody may commit them.
      await removeUpload(id)
      throw error
    }
  }

  return {
    temporaryPath: () => join(uploads, `put-${randomUUID()}`),

    async openUpload(algorithm) {
      if (!(await hasSpace())) return 'no-space'
      const id = parseUploadId(randomUUID())
      if (id === undefined) throw new Error('a random UUID is no upload id')
      try {
        const file = await open(uploadPath(id), 'wx', 0o600)
        await file.close()
      } catch (error) {
        if (isFull(error)) return 'no-space'
        throw error
      }
      hashes.set(id, { algorithm, hash: createHash(algorithm), hashed: 0 })
      return id
    },

    async uploadSize(id) {
      await finished(id)
      return sizeOf(uploadPath(id))
    },

    async append(id, offset, source, signal) {
      signal?.throwIfAborted()
      await finished(id)
      const claimed = claim(id)
      if (claimed === undefined) return { status: 'busy' }
      try {
        const file = await openFile(uploadPath(id), constants.O_WRONLY | constants.O_APPEND)
        if (file === undefined) return { status: 'unknown-upload' }
        try {
          const either = signal === undefined ? claimed.cancelled : AbortSignal.any([signal, claimed.cancelled])
          return await appendTo(file, id, offset, source, either, claimed.finish)
        } finally {
          await file.close()
        }
      } catch (error) {
        if (claimed.cancelled.aborted) return { status: 'unknown-upload' }
        throw error
      } finally {
        claimed.release()
      }
    },

    async commit(id, digest, signal) {
      signal?.throwIfAborted()
      await finished(id)
      const claimed = claim(id)
      if (claimed === undefined) return { status: 'busy' }
      try {
        return await commitClaimed(id, digest, signal)
      } finally {
        claimed.release()
      }
    },

    async cancel(id) {
      for (let writer = writers.get(id); writer !== undefined; writer = writers.get(id)) {
        writer.cancelled.abort()
        await writer.ended
      }
      const claimed = claim(id)
      try {
        return await removeUpload(id)
      } finally {
        claimed?.release()
      }
    },

    async purgeUploads(before) {
      let purged = 0
      for await (const { name } of await opendir(uploads)) {
        const id = parseUploadId(name)
        const claimed = id && claim(id)
        // A name that is no upload's is a `put` that did not end; it goes in the same way.
        if (id !== undefined && claimed === undefined) continue
        try {
          const path = join(uploads, name)
          const { mtimeMs } = await stat(path)
          if (mtimeMs >= before.getTime()) continue
          if (id === undefined) await removed(path)
          else if (await removeUpload(id)) purged += 1
        } catch (error) {
          if (!hasCode(error, 'ENOENT')) throw error
        } finally {
          claimed?.release()
        }
      }
      return purged
    },
  }
}

async function hashFile(file: FileHandle, size: number, algorithm: DigestAlgorithm, signal: AbortSignal | undefined): Promise<RunningHash> {
  const hash = createHash(algorithm)
  for await (const piece of readPieces(file, 0, size)) {
    signal?.throwIfAborted()
    hash.update(piece)
  }
  return { algorithm, hash, hashed: size }
}
