import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Pieces } from '../../ports/blob-store.ts'

/** What one read brings: with one read ahead, a stalled client holds two of these. */
const READ_BYTES = 128 * 1024

/** Opens the file once the first bytes are asked for, so that one who never asks leaves nothing open. */
export async function* readPath(path: string, start: number, end: number): Pieces {
  const file = await open(path, 'r')
  try {
    yield* readPieces(file, start, end)
  } finally {
    await file.close()
  }
}

/** The bytes from `start` up to `end`; the next piece is being read while the consumer has this one. */
export async function* readPieces(file: FileHandle, start: number, end: number): AsyncGenerator<Buffer> {
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
export async function fill(buffer: Buffer, file: FileHandle, start: number): Promise<Buffer> {
  for (let filled = 0; filled < buffer.length; ) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled)
    if (bytesRead === 0) throw new Error(`a file ended at ${start + filled}, not at ${start + buffer.length}`)
    filled += bytesRead
  }
  return buffer
}
