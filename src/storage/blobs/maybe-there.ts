// Files that may not be there: undefined, or false, then.
import { open, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { ignoring } from '../durable.ts'

/** A file's size. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return (await ignoring(['ENOENT'], stat(path)))?.size
}

/** Opened with these flags. */
export function openFile(path: string, flags: number): Promise<FileHandle | undefined> {
  return ignoring(['ENOENT'], open(path, flags))
}

/** Removes a name; false where there was none. Not durable until its folder is synced. */
export async function removed(path: string): Promise<boolean> {
  return (await ignoring(['ENOENT'], unlink(path).then(() => true))) ?? false
}
