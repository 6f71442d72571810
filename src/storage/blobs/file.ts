import { createHash, randomUUID } from 'node:crypto'
import { constants, link, mkdir, open, opendir, readFile, rename, rm, stat, statfs, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { algorithmOf, digestFromHash, digestOf, hexOf, parseDigest } from '../../oci/digest.ts'
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import { parseUploadId } from '../../ports/blob-store.ts'
import type { AppendResult, BlobStat, BlobStore, CommitResult, Pieces, UploadId } from '../../ports/blob-store.ts'
import { FANOUT, hasCode, ignoring, makeFanout, syncFolder, writeSynced } from '../durable.ts'
import { createUploadWriter, isFull } from './upload-writer.ts'
import type { RunningHash } from './upload-writer.ts'

/** What one read brings: with one read ahead, a stalled client holds two of these. */
const READ_BYTES = 128 * 1024
/** More than is written in that time. */
const SPACIOUS_BYTES = 8 * 1024 ** 3
const SPACIOUS_MS = 1_000
const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512']

/** Who writes to an upload: at most one at a time. `finishing`: all that it will write has come. */
type Writer = { readonly cancelled: AbortController; readonly ended: Promise<void>; finishing: boolean }
type Claim = { readonly cancelled: AbortSignal; readonly finish: () => void; readonly release: () => void }

/**
 * Blobs as files: `blobs/<algorithm>/<2 hex>/<hex>`, `uploads/<uuid>` and `quarantine/` in one folder, on one file system.
 *
 * A blob's file appears under its name whole and synced (a hard link to the upload's file), and is never written again. An upload
 * whose file has a second name was committed by a process that died before it could answer: it takes no more bytes.
 */
export async function openFileBlobStore(options: {
  readonly folder: string
  /** Free space that uploads leave alone. */
  readonly minFreeBytes: number
}): Promise<BlobStore> {
  const blobs = join(options.folder, 'blobs')
  const uploads = join(options.folder, 'uploads')
  const quarantine = join(options.folder, 'quarantine')
  await Promise.all([blobs, uploads, quarantine].map((path) => mkdir(path, { recursive: true })))
  for (const algorithm of ALGORITHMS) await makeFanout(join(blobs, algorithm))
  await syncFolder(options.folder)

  const hashes = new Map<UploadId, RunningHash>()
  const writers = new Map<UploadId, Writer>()

  const pathOf = (digest: Digest) => join(blobs, algorithmOf(digest), hexOf(digest).slice(0, 2), hexOf(digest))
  const uploadPath = (id: UploadId) => join(uploads, id)

  /** Until when the file system is not asked again: it had so much room that no pushes could take it in that time. */
  let spaciousUntil = -Infinity

  async function hasSpace(): Promise<boolean> {
    if (performance.now() < spaciousUntil) return true
    const { bavail, bsize } = await statfs(uploads)
    if (bavail * bsize >= options.minFreeBytes + SPACIOUS_BYTES) spaciousUntil = performance.now() + SPACIOUS_MS
    return bavail * bsize >= options.minFreeBytes
  }

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

  /**
   * Gives a synced file its blob's name, which is durable once the folder that is answered is synced. What is there already is used
   * as it is, since somebody may be reading it, unless its size shows that it is not the blob.
   */
  async function place(path: string, digest: Digest, size: number): Promise<string> {
    const target = pathOf(digest)
    try {
      await link(path, target)
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
      if ((await sizeOf(target)) !== size) await rename(path, target)
    }
    return dirname(target)
  }

  return {
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

    async put(digest, bytes) {
      if (digestOf(algorithmOf(digest), bytes) !== digest) throw new Error(`these bytes are not ${digest}`)
      const target = pathOf(digest)
      if ((await sizeOf(target)) === bytes.length) {
        // Whoever stores it at this moment may not have got this far.
        await syncFolder(dirname(target))
        return 'stored'
      }
      if (!(await hasSpace())) return 'no-space'
      const temporary = join(uploads, `put-${randomUUID()}`)
      try {
        await writeSynced(temporary, bytes)
        await syncFolder(await place(temporary, digest, bytes.length))
        return 'stored'
      } catch (error) {
        if (isFull(error)) return 'no-space'
        throw error
      } finally {
        await rm(temporary, { force: true })
      }
    },

    async stat(digest) {
      const sizeBytes = await sizeOf(pathOf(digest))
      return sizeBytes === undefined ? undefined : { digest, sizeBytes }
    },

    async open(digest, range) {
      const path = pathOf(digest)
      const size = await sizeOf(path)
      if (size === undefined) return undefined
      const { first, last } = range ?? { first: 0, last: size - 1 }
      if (range !== undefined && !(first >= 0 && first <= last && last < size)) {
        throw new RangeError(`bytes ${first}-${last} of ${digest}, which has ${size}`)
      }
      return readPath(path, first, last + 1)
    },

    async reader(digest) {
      const file = await openFile(pathOf(digest), constants.O_RDONLY)
      if (file === undefined) return undefined
      return {
        read: (first, memory) => fill(memory, file, first),
        close: () => file.close(),
      }
    },

    read: (digest) => ignoring(['ENOENT'], readFile(pathOf(digest))),

    async *list(): AsyncGenerator<BlobStat> {
      for (const algorithm of ALGORITHMS) {
        for (const fan of FANOUT) {
          const folder = join(blobs, algorithm, fan)
          for await (const { name } of await opendir(folder)) {
            const digest = parseDigest(`${algorithm}:${name}`)
            const sizeBytes = digest && (await sizeOf(join(folder, name)))
            if (digest !== undefined && sizeBytes !== undefined) yield { digest, sizeBytes }
          }
        }
      }
    },

    async quarantine(digest) {
      // One digest may be found corrupt more than once.
      const target = join(quarantine, `${algorithmOf(digest)}-${hexOf(digest)}.${randomUUID()}`)
      await rename(pathOf(digest), target)
      await syncFolder(quarantine)
      await syncFolder(dirname(pathOf(digest)))
      return target
    },

    async delete(digest) {
      if (await removed(pathOf(digest))) await syncFolder(dirname(pathOf(digest)))
    },
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await ignoring(['ENOENT'], stat(path)))?.size
}

function openFile(path: string, flags: number): Promise<FileHandle | undefined> {
  return ignoring(['ENOENT'], open(path, flags))
}

async function removed(path: string): Promise<boolean> {
  return (await ignoring(['ENOENT'], unlink(path).then(() => true))) ?? false
}

async function hashFile(file: FileHandle, size: number, algorithm: DigestAlgorithm, signal: AbortSignal | undefined): Promise<RunningHash> {
  const hash = createHash(algorithm)
  for await (const piece of readPieces(file, 0, size)) {
    signal?.throwIfAborted()
    hash.update(piece)
  }
  return { algorithm, hash, hashed: size }
}

/** Opens the file once the first bytes are asked for, so that one who never asks leaves nothing open. */
async function* readPath(path: string, start: number, end: number): Pieces {
  const file = await open(path, 'r')
  try {
    yield* readPieces(file, start, end)
  } finally {
    await file.close()
  }
}

/** The bytes from `start` up to `end`; the next piece is being read while the consumer has this one. */
async function* readPieces(file: FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
  const readAt = (position: number): Promise<Buffer> => {
    const read = fill(Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - position)), file, position)
    // Whoever stops early does not come back for it.
    read.catch(() => undefined)
    return read
  }
  let next = start < end ? readAt(start) : undefined
  for (let position = start; next !== undefined; ) {
    const piece = await next
    position += piece.length
    next = position < end ? readAt(position) : undefined
    yield piece
  }
}

/** Fills a buffer with the bytes from `start` on, however few each read brings. */
async function fill(buffer: Buffer, file: FileHandle, start: number): Promise<Buffer> {
  for (let filled = 0; filled < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled)
    if (bytesRead === 0) throw new Error(`a file ended at ${start + filled}, not at ${start + buffer.length}`)
    filled += bytesRead
  }
  return buffer
}

/** A source's chunks until the signal aborts, also while the source has nothing to give: then the signal's reason is thrown. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let interrupt: (() => void) | undefined
  const onAbort = () => interrupt?.()
  signal.addEventListener('abort', onAbort)
  let open = true
  try {
    for (;;) {
      signal.throwIfAborted()
      // Not Promise.race with one promise of the abort: that would keep something of every chunk until the end.
      const result = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        interrupt = () => {
          resolve(undefined)
        }
        const next = iterator.next()
        next.catch(() => {
          open = false
        })
        next.then(resolve, reject)
      })
      if (result?.done === true) {
        open = false
        return
      }
      if (result !== undefined) yield result.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    if (open) {
      const closed = iterator.return?.()
      // An async generator that waits for its next chunk returns only after it, which may be never.
      if (signal.aborted) closed?.catch(() => undefined)
      else await closed
    }
  }
}
