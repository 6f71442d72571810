import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ignoring } from '../durable.ts'
import type { Identity } from './identity.ts'

const SOCKET_PREFIX = 'varve-pg-'

/**
 * Short, since a socket's path has about 107 bytes, and private, since whoever reaches the socket is trusted. Where the system's
 * folder for temporary files cannot be written (a read-only container), the data folder may be short enough.
 */
export async function makeSocketFolder(dataFolder: string, identity: Identity): Promise<string> {
  // The rest of the 107 goes to the random end of the prefix and to ".s.PGSQL.5432.lock".
  for (const root of [tmpdir(), '/tmp', dataFolder].filter((path) => Buffer.byteLength(path) <= 70)) {
    const folder = await ignoring(['ENOENT', 'EACCES', 'EPERM', 'EROFS'], mkdtemp(join(root, SOCKET_PREFIX)))
    if (folder === undefined) continue
    if (identity.uid !== undefined && identity.gid !== undefined) await chown(folder, identity.uid, identity.gid)
    return folder
  }
  throw new Error(`no place for the socket of Postgres: neither ${tmpdir()} nor /tmp can be written, and ${dataFolder} is too long a path`)
}

/** Removes a folder that `makeSocketFolder` made, and no other. */
export async function removeSocketFolder(folder: string): Promise<void> {
  if (basename(folder).startsWith(SOCKET_PREFIX)) await rm(folder, { recursive: true, force: true })
}
