import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { hasCode } from '../durable.ts'
import { CONNECT_TIMEOUT_MS, DATABASE } from './connection.ts'
import type { Connection } from './connection.ts'
import type { Postmaster } from './postmaster.ts'
import { lockServer } from './server-lock.ts'

/** A killed server's backend notices its closed socket at once when idle, and this late at most when it was in a statement. */
const PATIENCE_MS = 2_000

const NOT_YET = ['ENOENT', 'ECONNREFUSED', '57P03', 'ECONNRESET', 'EPIPE']

/**
 * The session that holds the server lock, in our database. Undefined: held by another to the end of our patience. Throws when Postgres
 * ends meanwhile.
 */
export async function holdServerLock(postmaster: Postmaster, at: Connection, log: (line: string) => void): Promise<Client | undefined> {
  const admin = await whenReady(postmaster, at, 'postgres', log)
  if (admin === undefined) throw new Error('Postgres ended while it was starting')
  try {
    await ensureDatabase(admin)
  } finally {
    await admin.end().catch(() => undefined)
  }
  const client = await whenReady(postmaster, at, DATABASE, log)
  if (client === undefined) throw new Error('Postgres ended while it was starting')
  try {
    const deadline = Date.now() + PATIENCE_MS
    do {
      if (await lockServer(client)) return client
      await delay(50)
    } while (Date.now() < deadline)
  } catch (error: unknown) {
    await client.end().catch(() => undefined)
    throw error
  }
  await client.end().catch(() => undefined)
  return undefined
}

/** Connects as soon as Postgres takes connections, however long its recovery lasts. Undefined: it ended first. */
async function whenReady(
  postmaster: Postmaster, at: Connection, database: string, log: (line: string) => void,
): Promise<Client | undefined> {
  let told = Date.now()
  while (!postmaster.isOver()) {
    const client = new Client({ ...at, database, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
    // A later loss shows in 'end', or in the statement that met it.
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch (error: unknown) {
      await client.end().catch(() => undefined)
      const wait = hasCode(error, ...NOT_YET) || /terminated|timeout/.test(String(error))
      if (!wait) throw error
    }
    if (Date.now() - told > 10_000) {
      told = Date.now()
      log('Postgres is still starting (after a crash it first replays its log)')
    }
    await Promise.race([delay(25), postmaster.exited])
  }
  return undefined
}

/** Our database is made here and not by initdb, so that a crash between the two is healed by the next start. */
async function ensureDatabase(client: Client): Promise<void> {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE])
  if (rowCount === 0) await client.query(`create database ${DATABASE}`)
}
