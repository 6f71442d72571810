import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool, PoolClient } from 'pg'
import type { EventLog } from '../ports/event-log.ts'
import { positionNumber } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { dictionariesOf } from './projection.ts'
import type { ProjectionGroup } from './projection.ts'
import { createIndexes, createVersion, dropVersion, groups, liveVersion, prepareRegister, schemaName, switchTo, tablesOf, versions } from './read-models.ts'
import { foldUpTo, openFolder, readCheckpoint } from './runner.ts'
import type { Reads } from './runner.ts'

export type Progress = (group: string, done: bigint, total: bigint) => void

export type Rebuilding = { readonly pool: Pool; readonly log: EventLog; readonly reads: Reads; readonly onProgress: Progress }

/** A table whose rows are not the same in both versions; the first few lines that one has and the other has not. */
export type Difference = { readonly table: string; readonly live: readonly string[]; readonly rebuilt: readonly string[] }

const MAX_SHOWN = 5
const REBUILD_LOCK = 7234019
const MOVE_PATIENCE_MS = 30_000

/** One rebuild at a time: two would each take the other's version for a leftover. */
async function alone<T>(pool: Pool, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [REBUILD_LOCK])
    if (rows[0]?.locked !== true) throw new Error('another rebuild is under way')
    await prepareRegister(pool)
    const live = await liveVersion(pool)
    for (const version of await versions(pool)) if (version !== live) await dropVersion(pool, version)
    return await work()
  } finally {
    await endLocked(client)
  }
}

/** Given up in words, and not only with the session: that ends a while after this process has turned to something else. */
async function endLocked(client: PoolClient): Promise<void> {
  try {
    await client.query('select pg_advisory_unlock_all()')
    client.release()
  } catch {
    // A connection that is gone has taken its locks along.
    client.release(true)
  }
}

async function fold({ pool, log, reads, onProgress }: Rebuilding, version: number, group: ProjectionGroup, end: Position): Promise<void> {
  const folder = await openFolder(pool, schemaName(version), group, reads)
  await foldUpTo(log, folder, group, end, (position) => {
    onProgress(group.name, positionNumber(position), positionNumber(end))
  })
}

/**
 * Builds the read models anew beside the live ones and switches to them, while pulls and pushes go on: a server that runs sees the
 * switch, follows the new version to where it was, and moves over. Answers the new version.
 */
export async function rebuild(rebuilding: Rebuilding, serverRuns: boolean): Promise<number> {
  const { pool, log } = rebuilding
  return alone(pool, async () => {
    const head = await log.head()
    const before = await liveVersion(pool)
    const version = await createVersion(pool)
    if (head !== undefined) for (const group of groups) await fold(rebuilding, version, group, head)
    await createIndexes(pool, version)
    if (before !== undefined && !(await switchTo(pool, version, before))) throw new Error('another version went live meanwhile')
    if (before !== undefined && serverRuns) await serverMoved(pool, before)
    else if (before !== undefined) await dropVersion(pool, before)
    return version
  })
}

/**
 * The server drops the version that it leaves. Until then the next rebuild must not begin: it would take that version for a leftover
 * and drop it under the server. One that does not move in time may not be there at all.
 */
async function serverMoved(pool: Pool, before: number): Promise<void> {
  const deadline = performance.now() + MOVE_PATIENCE_MS
  while (performance.now() < deadline && (await versions(pool)).includes(before)) await sleep(100)
}

/** Rebuilds into a version that never goes live, and compares it with the live one, table by table, where the live one stands. */
export async function verify(rebuilding: Rebuilding): Promise<Difference[]> {
  const { pool } = rebuilding
  return alone(pool, async () => {
    const live = await liveVersion(pool)
    if (live === undefined) return []
    const version = await createVersion(pool)
    try {
      const differences: Difference[] = []
      for (const group of groups) differences.push(...(await verifyGroup(rebuilding, live, version, group)))
      return differences
    } finally {
      await dropVersion(pool, version)
    }
  })
}

async function verifyGroup(rebuilding: Rebuilding, live: number, version: number, group: ProjectionGroup): Promise<Difference[]> {
  const { pool } = rebuilding
  const snapshot = await pool.connect()
  try {
    // The live version moves on meanwhile; a snapshot keeps the one position that both are compared at.
    await snapshot.query('begin transaction isolation level repeatable read read only')
    const { position } = await readCheckpoint(snapshot, schemaName(live), group.name)
    if (position === undefined) return []
    await fold(rebuilding, version, group, position)
    const names = [...dictionariesOf(group), ...tablesOf(group).map((table) => table.name)]
    const differences: Difference[] = []
    for (const table of names) {
      const [here, there] = [rowsOf(snapshot, `${schemaName(live)}.${table}`), rowsOf(pool, `${schemaName(version)}.${table}`)]
      const difference = compareSorted(await here, await there)
      if (difference.live.length + difference.rebuilt.length > 0) differences.push({ table, ...difference })
    }
    return differences
  } finally {
    snapshot.release(true)
  }
}

type Queryable = Pick<Pool, 'query'>

async function rowsOf(client: Queryable, table: string): Promise<string[]> {
  const { rows } = await client.query<{ line: string }>(`select t::text as line from ${table} t order by t::text collate "C"`)
  return rows.map((row) => row.line)
}

function compareSorted(live: readonly string[], rebuilt: readonly string[]): Omit<Difference, 'table'> {
  const [inLive, inRebuilt] = [new Set(live), new Set(rebuilt)]
  return {
    live: live.filter((line) => !inRebuilt.has(line)).slice(0, MAX_SHOWN),
    rebuilt: rebuilt.filter((line) => !inLive.has(line)).slice(0, MAX_SHOWN),
  }
}

