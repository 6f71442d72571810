import { statfs } from 'node:fs/promises'

/** More than is written in that time. */
const SPACIOUS_BYTES = 8 * 1024 ** 3
const SPACIOUS_MS = 1_000

/** Tells whether the file system of a folder has more free than a reserve. */
export function createSpaceCheck(folder: string, minFreeBytes: number): () => Promise<boolean> {
  /** Until when the file system is not asked again: it had so much room that no pushes could take it in that time. */
  let spaciousUntil = -Infinity

  return async () => {
    if (performance.now() < spaciousUntil) return true
    const { bavail, bsize } = await statfs(folder)
    if (bavail * bsize >= minFreeBytes + SPACIOUS_BYTES) spaciousUntil = performance.now() + SPACIOUS_MS
    return bavail * bsize >= minFreeBytes
  }
}
