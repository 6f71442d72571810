import { copyFile, stat, truncate } from 'node:fs/promises'
import { ignoring } from '../durable.ts'

/** Moves what the postmaster's log holds to `<path>.1`, once it is bigger than that. */
export async function rotateLog(path: string, biggerThan: number): Promise<void> {
  const found = await ignoring(['ENOENT'], stat(path))
  if (found === undefined || found.size <= biggerThan) return
  // Copied and emptied, not renamed: the postmaster holds the file open, for appending.
  await copyFile(path, `${path}.1`)
  await truncate(path)
}
