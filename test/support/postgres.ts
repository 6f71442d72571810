import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from '@jest/globals'
import { Client } from 'pg'
import type { Connection, EmbeddedPostgres } from '../../src/storage/postgres/embedded.ts'
import { startEmbeddedPostgres } from '../../src/storage/postgres/embedded.ts'

/*
 * One Postgres a test file, started by the first that asks, with a fresh database for each call. It lives until all of them are dropped.
 */

export type TestDatabase = {
  /** For `new Client(...)` and `new Pool(...)`. */
  readonly connection: Connection
  /** Ends every session on it. */
  drop(): Promise<void>
}

type Server = { readonly postgres: EmbeddedPostgres; readonly folder: string }

let server: Promise<Server> | undefined
/** The names of those that were not dropped yet. */
const open = new Set<string>()
let isFileOver = false

const startServer = async (): Promise<Server> => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-test-'))
  const postgres = await startEmbeddedPostgres({ dataFolder: folder })
  // A worker that exits without its afterAll (process.exit in a test) must not leave a server behind.
  process.on('exit', () => {
    try {
      process.kill(postgres.pid, 'SIGQUIT')
    } catch {
      return
    }
    rmSync(folder, { recursive: true, force: true })
  })
  return { postgres, folder }
}

/** The file's server: for a test that needs its socket, or its administrator's connection. */
export const testPostgres = async (): Promise<EmbeddedPostgres> => (await (server ??= startServer())).postgres

const asAdministrator = async (work: (client: Client) => Promise<unknown>): Promise<void> => {
  const client = new Client((await testPostgres()).connection)
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

/** An empty database of its own. Close your own clients before `drop`, or they will see their sessions ended. */
export const testDatabase = async (): Promise<TestDatabase> => {
  const name = `test_${randomBytes(6).toString('hex')}`
  await asAdministrator((client) => client.query(`create database ${name}`))
  open.add(name)
  const { connection } = await testPostgres()
  return {
    connection: { ...connection, database: name },
    async drop() {
      await asAdministrator((client) => client.query(`drop database if exists ${name} with (force)`))
      open.delete(name)
      if (isFileOver) await stopUnused()
    },
  }
}

/** A file's own hooks come after this one, and may have a server that still works on a database, and drop it then. */
afterAll(async () => {
  isFileOver = true
  await stopUnused()
})

async function stopUnused(): Promise<void> {
  if (server === undefined || open.size > 0) return
  const { postgres, folder } = await server
  server = undefined
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
