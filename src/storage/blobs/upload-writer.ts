import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { hasCode } from '../durable.ts'

/** What one write gathers. One more gathers meanwhile. */
const WRITE_BYTES = 256 * 1024
const SPACE_CHECK_BYTES = 64 * 1024 * 1024
/** The disk begins with these while more arrive, so that little is left to sync at the end. */
const SYNC_BYTES = 16 * 1024 * 1024

/** Written buffers are used again: new ones for each upload would have V8 look through its whole heap again and again. */
const MAX_SPARE_BUFFERS = 64
const spareBuffers: Buffer[] = []

function takeBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(WRITE_BYTES)
}

function giveBack(...buffers: readonly Buffer[]): void {
  for (const buffer of buffers) if (spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(buffer)
}

/** Node's hashes have no saved form, so it lives as long as the process, and is trusted only while `hashed` is the file's size. */
export type RunningHash = { readonly algorithm: DigestAlgorithm; readonly hash: Hash; hashed: number }

/**
 * Writes what arrives at the end of an upload's file of `size` bytes: while one piece is written the hash takes it in, and the next
 * gathers.
 */
export function createUploadWriter(file: FileHandle, size: number, running: RunningHash | undefined, hasSpace: () => Promise<boolean>) {
  let [filling, spare] = [takeBuffer(), takeBuffer()]
  let filled = 0
  let sizeBytes = size
  let unchecked = 0
  let unsynced = 0
  /** Whether the last piece is stored. */
  let writing: Promise<boolean> = Promise.resolve(true)
  let syncing: Promise<void> = Promise.resolve()
  let syncUnderWay = false

  async function write(piece: Buffer): Promise<boolean> {
    unchecked += piece.length
    if (unchecked >= SPACE_CHECK_BYTES) {
      if (!(await hasSpace())) return false
      unchecked = 0
    }
    const written = writeAll(file, piece, sizeBytes)
    const hashing = running?.hashed === sizeBytes ? running : undefined
    // From here on it is ahead of the file, until the file has these bytes too.
    if (hashing !== undefined) hashing.hashed = NaN
    hashing?.hash.update(piece)
    if (!(await written)) return false
    sizeBytes += piece.length
    if (hashing !== undefined) hashing.hashed = sizeBytes
    unsynced += piece.length
    if (unsynced >= SYNC_BYTES && !syncUnderWay) syncBeside()
    return true
  }

  function syncBeside(): void {
    unsynced = 0
    syncUnderWay = true
    syncing = Promise.all([syncing, file.datasync()]).then(() => {
      syncUnderWay = false
    })
    // How it ended is asked at the end.
    syncing.catch(() => undefined)
  }

  /** Gives what was gathered to the disk; false where the piece before found no room. */
  async function flush(): Promise<boolean> {
    if (!(await writing)) return false
    const piece = filling.subarray(0, filled)
    ;[filling, spare] = [spare, filling]
    filled = 0
    if (piece.length === 0) return true
    writing = write(piece)
    // How it ended is asked with the next piece, or at the end.
    writing.catch(() => undefined)
    return true
  }

  return {
    /** What the file holds of what was added. */
    sizeBytes: () => sizeBytes,
    /** Takes a chunk; false where there is no room on the disk. */
    async add(chunk: Uint8Array): Promise<boolean> {
      for (let start = 0; start < chunk.length; ) {
        const part = chunk.subarray(start, start + WRITE_BYTES - filled)
        filling.set(part, filled)
        filled += part.length
        start += part.length
        if (filled === WRITE_BYTES && !(await flush())) return false
      }
      return true
    },
    /**
     * To be called once, last. Waits until all is written; false where there is no room. Rejects where bytes could not be written or
     * synced, and may be lost.
     */
    async end(): Promise<boolean> {
      try {
        const stored = (await flush()) && (await writing)
        await syncing
        return stored
      } finally {
        // However it ended, no write is under way any more.
        giveBack(filling, spare)
      }
    },
  }
}

/** Writes all of a piece at the end of a file of `sizeBytes`, or none of it: false where the disk is full. */
async function writeAll(file: FileHandle, piece: Buffer, sizeBytes: number): Promise<boolean> {
  try {
    for (let start = 0; start < piece.length; ) {
      const { bytesWritten } = await file.write(piece, start)
      start += bytesWritten
    }
    return true
  } catch (error) {
    await file.truncate(sizeBytes)
    if (isFull(error)) return false
    throw error
  }
}

export function isFull(error: unknown): boolean {
  return hasCode(error, 'ENOSPC', 'EDQUOT')
}
