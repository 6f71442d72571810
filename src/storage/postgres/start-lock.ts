import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ignoring } from '../durable.ts'
import { startTime } from './processes.ts'

const PATIENCE_MS = 120_000

/** Another Varve server runs on this data folder. */
export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError'
}

/**
 * Keeps two starts from working on one folder at once; held while starting only. Whose holder is over is taken over. Should two still
 * get through in the moment of such a takeover, nothing breaks: a cluster appears by rename, and a postmaster has its own lock file.
 */
export async function takeStartLock(folder: string): Promise<() => Promise<void>> {
  const lock = join(folder, 'starting.lock')
  const mine = join(folder, `starting.lock.${randomUUID()}`)
  const content = JSON.stringify({ pid: process.pid, started: await startTime(process.pid), nonce: randomUUID() })
  await writeFile(mine, content, { mode: 0o600, flag: 'wx' })
  try {
    const deadline = Date.now() + PATIENCE_MS
    while ((await ignoring(['EEXIST'], link(mine, lock).then(() => true))) === undefined) {
      const theirs = await ignoring(['ENOENT'], readFile(lock, 'utf8'))
      if (theirs === undefined) continue
      if (!(await holderLives(theirs))) {
        const aside = join(folder, `starting.lock.${randomUUID()}`)
        await ignoring(['ENOENT'], rename(lock, aside))
        // Somebody else took the dead lock over between the look and the rename: give theirs back.
        if ((await ignoring(['ENOENT'], readFile(aside, 'utf8'))) !== theirs) await ignoring(['ENOENT', 'EEXIST'], link(aside, lock))
        await rm(aside, { force: true })
        continue
      }
      if (Date.now() > deadline) throw new AlreadyRunningError(`another start is under way on ${folder}: ${theirs}`)
      await delay(50)
    }
  } finally {
    await rm(mine, { force: true })
  }
  return async () => {
    if ((await ignoring(['ENOENT'], readFile(lock, 'utf8'))) === content) await rm(lock, { force: true })
  }
}

async function holderLives(content: string): Promise<boolean> {
  try {
    const holder: unknown = JSON.parse(content)
    if (typeof holder !== 'object' || holder === null || !('pid' in holder) || !('started' in holder)) return false
    return typeof holder.pid === 'number' && (await startTime(holder.pid)) === holder.started
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
