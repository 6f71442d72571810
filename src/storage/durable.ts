import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The first two hexadecimal digits of what is stored below. */
export const FANOUT = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0'))

/** By its code, since an error may come from another realm, where `instanceof Error` does not hold. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && codes.some((code) => code === error.code)
}

/** What the work gives; undefined where it failed with one of the codes. */
export async function ignoring<T>(codes: readonly string[], work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error: unknown) {
    if (hasCode(error, ...codes)) return undefined
    throw error
  }
}

/** A file's name is durable once its folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Makes a folder and the 256 below it, so that none needs to be made, and its parent synced, while a blob is stored. */
export async function makeFanout(path: string): Promise<void> {
  await mkdir(path, { recursive: true })
  const present = new Set(await readdir(path))
  const missing = FANOUT.filter((name) => !present.has(name)).map((name) => join(path, name))
  await Promise.all(missing.map((each) => mkdir(each, { recursive: true })))
  await Promise.all(missing.map(syncFolder))
  // Also where none was missing: who made them may have died before this.
  await syncFolder(path)
  await syncFolder(dirname(path))
}

/** Writes a file whole, readable by its owner only, and syncs it; its name is not durable yet. */
export async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Makes a file of that content, or none: never a part of it, and never over one that is there. Durable when it answers, also when
 * somebody else made it. A crash may leave `<path>.<uuid>` behind.
 */
export async function createDurably(path: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await writeSynced(temporary, bytes)
    const created = await ignoring(['EEXIST'], link(temporary, path).then(() => 'created' as const))
    await syncFolder(dirname(path))
    return created ?? 'exists'
  } finally {
    await rm(temporary, { force: true })
  }
}
