import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool, PoolClient } from 'pg'
import type { EventLog } from '../ports/event-log.ts'
import { positionNumber } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { dictionariesOf } from './projection.ts'
import type { ProjectionGroup, Reads } from './projection.ts'
import { createIndexes, createVersion, dropVersion, groups, isOutdated, liveVersion, prepareRegister, schemaName, switchTo, tablesOf, versions } from './read-models.ts'
import { foldUpTo, openFolder, readCheckpoint } from './runner.ts'
import type { Load } from './runner.ts'

export type Progress = (group: string, done: bigint, total: bigint) => void

export type Rebuilding = { readonly pool: Pool; readonly log: EventLog; readonly reads: Reads; readonly onProgress: Progress }

/** What became live, and how long it took to fold the log and to make the indexes. */
export type Rebuilt = { readonly version: number; readonly foldSeconds: number; readonly indexSeconds: number }

/** A table whose rows are not the same in both versions; the first few lines that one has and the other has not. */
export type Difference = { readonly table: string; readonly live: readonly string[]; readonly rebuilt: readonly string[] }

const MAX_SHOWN = 5
const LINES_AT_ONCE = 500
const REBUILD_LOCK = 7234019
const MOVE_PATIENCE_MS = 30_000
const MOVE_POLL_MS = 100

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

/** Loads a new version's groups, each up to its end. */
async function load({ pool, log, reads, onProgress }: Rebuilding, version: number, ends: ReadonlyMap<ProjectionGroup, Position>): Promise<void> {
  const loads: Load[] = []
  for (const [group, end] of ends) loads.push({ folder: await openFolder(pool, schemaName(version), group, reads, true), group, end })
  await foldUpTo(log, loads, (group, position) => {
    onProgress(group.name, positionNumber(position), positionNumber(ends.get(group) ?? position))
  })
}

/**
 * Builds the read models anew beside the live ones and switches to them, while pulls and pushes go on: a server that runs sees the
 * switch, follows the new version to where it was, and moves over.
 */
export async function rebuild(rebuilding: Rebuilding, serverRuns: boolean): Promise<Rebuilt> {
  const { pool, log } = rebuilding
  return alone(pool, async () => {
    const head = await log.head()
    // The first version is live at once, so it is made for what is there already, and not loaded.
    const before = (await liveVersion(pool)) ?? (await createVersion(pool))
    const version = await createVersion(pool)
    const begun = performance.now()
    if (head !== undefined) await load(rebuilding, version, new Map(groups.map((group) => [group, head])))
    const folded = performance.now()
    await createIndexes(pool, version)
    const indexed = performance.now()
    if (!(await switchTo(pool, version, before))) throw new Error('another version went live meanwhile')
    if (serverRuns) await serverMoved(pool, before)
    else await dropVersion(pool, before)
    return { version, foldSeconds: (folded - begun) / 1000, indexSeconds: (indexed - folded) / 1000 }
  })
}

/**
 * The live version, for a process that folds it: the first where there is none yet, and one made anew where another release made the live
 * one.
 */
export async function foldableVersion(rebuilding: Omit<Rebuilding, 'onProgress'> & { readonly onOutdated: () => void }): Promise<number> {
  const { pool, onOutdated } = rebuilding
  await prepareRegister(pool)
  const live = (await liveVersion(pool)) ?? (await createVersion(pool))
  if (!(await isOutdated(pool, live))) return live
  onOutdated()
  return (await rebuild({ ...rebuilding, onProgress: () => undefined }, false)).version
}

/**
 * The server drops the version that it leaves. Until then the next rebuild must not begin: it would take that version for a leftover
 * and drop it under the server. One that does not move in time may not be there at all.
 */
async function serverMoved(pool: Pool, before: number): Promise<void> {
  const deadline = performance.now() + MOVE_PATIENCE_MS
  while (performance.now() < deadline && (await versions(pool)).includes(before)) await sleep(MOVE_POLL_MS)
}

/** Rebuilds into a version that never goes live, and compares it with the live one, table by table, where the live one stands. */
export async function verify(rebuilding: Rebuilding): Promise<Difference[]> {
  const { pool } = rebuilding
  return alone(pool, async () => {
    const live = await liveVersion(pool)
    if (live === undefined) return []
    const version = await createVersion(pool)
    const [snapshot, other] = [await pool.connect(), await pool.connect()]
    try {
      // The live version moves on meanwhile; a snapshot keeps the positions that both are compared at.
      await snapshot.query('begin transaction isolation level repeatable read read only')
      const ends = new Map<ProjectionGroup, Position>()
      for (const group of groups) {
        const { position } = await readCheckpoint(snapshot, schemaName(live), group.name)
        if (position !== undefined) ends.set(group, position)
      }
      await load(rebuilding, version, ends)
      await other.query('begin read only')
      const differences: Difference[] = []
      for (const table of [...ends.keys()].flatMap((group) => [...dictionariesOf(group), ...tablesOf(group).map(({ name }) => name)])) {
        const difference = await compare(linesOf(snapshot, `${schemaName(live)}.${table}`), linesOf(other, `${schemaName(version)}.${table}`))
        if (difference.live.length + difference.rebuilt.length > 0) differences.push({ table, ...difference })
      }
      return differences
    } finally {
      snapshot.release(true)
      other.release(true)
      await dropVersion(pool, version)
    }
  })
}

/** A table's rows as text, in the order of their bytes, a few in memory at a time. The client has a transaction open. */
async function* linesOf(client: PoolClient, table: string): AsyncGenerator<string> {
  await client.query(`declare lines no scroll cursor for select t::text as line from ${table} t order by t::text collate "C"`)
  for (;;) {
    const { rows } = await client.query<{ line: string }>(`fetch ${LINES_AT_ONCE} from lines`)
    for (const { line } of rows) yield line
    if (rows.length < LINES_AT_ONCE) break
  }
  await client.query('close lines')
}

async function compare(live: AsyncIterator<string>, rebuilt: AsyncIterator<string>): Promise<Omit<Difference, 'table'>> {
  const [onlyLive, onlyRebuilt]: [string[], string[]] = [[], []]
  let [here, there] = [await live.next(), await rebuilt.next()]
  while (here.done !== true || there.done !== true) {
    const order = here.done === true ? 1 : there.done === true ? -1 : compareBytes(here.value, there.value)
    if (order < 0 && onlyLive.length < MAX_SHOWN) onlyLive.push(String(here.value))
    if (order > 0 && onlyRebuilt.length < MAX_SHOWN) onlyRebuilt.push(String(there.value))
    if (order <= 0) here = await live.next()
    if (order >= 0) there = await rebuilt.next()
  }
  return { live: onlyLive, rebuilt: onlyRebuilt }
}

/** Texts in UTF-16 have another order where a character takes two units. */
const compareBytes = (a: string, b: string): number => (a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b)))
