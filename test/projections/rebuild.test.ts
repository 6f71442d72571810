import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import { isRefusal } from '../../src/oci/errors.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import type { EventLog } from '../../src/ports/event-log.ts'
import type { Recorded } from '../../src/ports/event.ts'
import type { Sealed } from '../../src/ports/key-store.ts'
import { laneOf } from '../../src/ports/streams.ts'
import type { PrivatePart, ProjectionGroup, Reads, Table } from '../../src/projections/projection.ts'
import { catalogueGroup, createIndexes, createVersion, groups, prepareRegister, schemaName, tablesOf, trailGroup } from '../../src/projections/read-models.ts'
import { foldableVersion, rebuild, verify } from '../../src/projections/rebuild.ts'
import { openFolder } from '../../src/projections/runner.ts'
import { createMemoryLog } from '../../src/storage/events/memory.ts'
import { createPlainSealer, generateHistory, memoryBlobs } from '../support/history.ts'
import { testDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { seeded } from '../support/random.ts'
import { separateFold, sorted } from './separate-fold.ts'
import type { Row, Tables } from './separate-fold.ts'

type Written = { readonly log: EventLog; readonly events: readonly Recorded[]; readonly reads: Reads; readonly expected: Tables }

async function write(seed: number, events: number): Promise<Written> {
  const log = createMemoryLog(createCodec(eventTypes))
  const blobs = memoryBlobs()
  const sealer = createPlainSealer()
  await generateHistory(log, {
    seed, events, blobs, sealer, forget: (subject) => sealer.forget(subject), start: new Date('2024-02-28T23:59:59.000Z'),
    shape: { stateShare: 0.6, identityShare: 0.4, repositories: 12, tags: 10, projects: 4, callers: 12 },
  })
  const all: Recorded[] = []
  for await (const each of log.readAll(['state', 'activity'], 'start')) all.push(each)
  const reads: Reads = {
    async manifest(digest, mediaType) {
      const bytes = await blobs.read(digest)
      const manifest = bytes && parseManifest(bytes, mediaType)
      return isRefusal(manifest) ? undefined : manifest
    },
    async openPrivate(sealed) {
      const clear = await sealer.open(sealed)
      return clear === undefined ? undefined : (JSON.parse(clear) as PrivatePart)
    },
    forgotten: () => Promise.resolve(),
  }
  const readers = {
    async manifest(text: string) {
      const digest = parseDigest(text)
      return digest && (await blobs.read(digest))
    },
    open: (sealed: string) => sealer.open(sealed as Sealed),
  }
  return { log, events: all, reads, expected: await separateFold(all, readers) }
}

/** A table's rows with texts in the place of their numbers. */
async function rowsOf(pool: pg.Pool, schema: string, table: Table): Promise<Row[]> {
  const columns = Object.entries(table.columns).map(([column, type]) => {
    if (typeof type !== 'string') return `(select value from ${schema}.${type.numbered} d where d.n = t.${column}) as ${column}`
    return type === 'timestamptz' ? `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}` : column
  })
  return (await pool.query<Record<string, string | number | boolean | null>>(`select ${columns.join(', ')} from ${schema}.${table.name} t`)).rows.map((row) =>
    typeof row['parameters'] === 'string' ? { ...row, parameters: sorted(JSON.parse(row['parameters']) as Record<string, unknown>) } : row,
  )
}

async function read(pool: pg.Pool, schema: string): Promise<Record<string, string[]>> {
  const tables: Record<string, string[]> = {}
  for (const table of groups.flatMap(tablesOf)) tables[table.name] = lines(await rowsOf(pool, schema, table))
  return tables
}

const lines = (rows: readonly Row[]): string[] => rows.map(sorted).sort()

const linesOf = (tables: Tables): Record<string, string[]> => Object.fromEntries(Object.entries(tables).map(([name, rows]) => [name, lines(rows)]))

/** Commits events in batches of sizes that `next` says, as markers would. */
async function foldInBatches(pool: pg.Pool, schema: string, group: ProjectionGroup, { events, reads }: Written, next: () => number, end = events.length): Promise<void> {
  const folder = await openFolder(pool, schema, group, reads)
  for (let from = 0; from < end; ) {
    const batch = events.slice(from, Math.min(end, from + next()))
    const last = batch.at(-1)
    if (last === undefined) throw new Error('a batch holds an event')
    await folder.commit(batch.filter((each) => group.lanes.includes(laneOf(each.stream))), last.position)
    from += batch.length
  }
}

describe('the read models', () => {
  let database: TestDatabase
  let pool: pg.Pool
  beforeAll(async () => {
    database = await testDatabase()
    pool = new pg.Pool({ ...database.connection, max: 4, pipeline: true })
    await prepareRegister(pool)
  })
  afterAll(async () => {
    await pool.end()
    await database.drop()
  })

  async function emptyVersion(): Promise<string> {
    const version = await createVersion(pool)
    await createIndexes(pool, version)
    return schemaName(version)
  }

  const batches = (seed: number, largest: number): (() => number) => {
    const { below } = seeded(seed)
    return () => 1 + below(largest)
  }

  it.each([
    { seed: 1, events: 800, sizes: 'one', next: () => 1 },
    { seed: 2, events: 2_000, sizes: 'seven', next: () => 7 },
    { seed: 3, events: 6_000, sizes: 'thousands', next: () => 3_000 },
    { seed: 4, events: 3_000, sizes: 'up to 40', next: batches(4, 40) },
    { seed: 5, events: 3_000, sizes: 'up to 400', next: batches(5, 400) },
  ])('hold what a separate fold of seed $seed holds, committed by $sizes', async ({ seed, events, next }) => {
    const written = await write(seed, events)
    const schema = await emptyVersion()
    for (const group of groups) await foldInBatches(pool, schema, group, written, next)
    const expected = linesOf(written.expected)
    for (const [name, rows] of Object.entries(await read(pool, schema))) expect({ name, rows }).toEqual({ name, rows: expected[name] })
    expect(Object.entries(expected).flatMap(([name, rows]) => (rows.length > 0 ? [] : [name]))).toEqual([])
  })

  it('are tried on histories that hold every type of event', async () => {
    const { events } = await write(5, 6_000)
    expect([...new Set(events.map(({ event }) => event.type))].sort()).toEqual(eventTypes.map(({ type }) => type).sort())
  })

  it.each([11, 12, 13])('stay as they are when any prefix is applied again (seed %d)', async (seed) => {
    const written = await write(seed, 1_200)
    const schema = await emptyVersion()
    const { below } = seeded(seed)
    const next = batches(seed, 90)
    for (const group of [catalogueGroup, trailGroup]) {
      const prefix = 1 + below(written.events.length - 1)
      await foldInBatches(pool, schema, group, written, next, prefix)
      // The checkpoint is what would keep a second time from happening.
      await pool.query(`delete from ${schema}.checkpoints where name = $1`, [group.name])
      await foldInBatches(pool, schema, group, written, next)
    }
    const expected = linesOf(written.expected)
    const found = await read(pool, schema)
    // Counts are counted once by their checkpoint, and not by themselves.
    for (const name of Object.keys(expected).filter((each) => each !== 'pull_counts' && each !== 'repository_counts')) expect({ name, rows: found[name] }).toEqual({ name, rows: expected[name] })
  })

  it('are the same after a rebuild, whose comparison finds every row that was changed', async () => {
    const own = await testDatabase()
    const ownPool = new pg.Pool({ ...own.connection, max: 4, pipeline: true })
    try {
      await prepareRegister(ownPool)
      const written = await write(21, 2_500)
      const schema = schemaName(await createVersion(ownPool))
      const version = Number(schema.slice('rm_'.length))
      await createIndexes(ownPool, version)
      for (const group of groups) await foldInBatches(ownPool, schema, group, written, batches(21, 300))
      const rebuilding = { pool: ownPool, log: written.log, reads: written.reads, onProgress: () => undefined }
      expect(await verify(rebuilding)).toEqual([])
      const tampering = [
        ['tags', `update ${schema}.tags set digest = 'sha256:' || repeat('0', 64) where ctid = (select min(ctid) from ${schema}.tags)`],
        ['blobs', `update ${schema}.blobs set linked = not linked where ctid = (select min(ctid) from ${schema}.blobs)`],
        ['manifests', `delete from ${schema}.manifests where ctid = (select min(ctid) from ${schema}.manifests)`],
        ['users', `update ${schema}.users set administrator = not administrator where ctid = (select min(ctid) from ${schema}.users)`],
        ['groups', `update ${schema}.groups set key = key || 'x' where ctid = (select min(ctid) from ${schema}.groups)`],
        ['robots', `update ${schema}.robots set expires_at = '2099-01-01' where ctid = (select min(ctid) from ${schema}.robots)`],
        ['projects', `update ${schema}.projects set visibility = 'open' where ctid = (select min(ctid) from ${schema}.projects)`],
        ['project_metadata', `delete from ${schema}.project_metadata where ctid = (select min(ctid) from ${schema}.project_metadata)`],
        ['members', `update ${schema}.members set role = 'owner' where ctid = (select min(ctid) from ${schema}.members)`],
        ['settings', `delete from ${schema}.settings where ctid = (select min(ctid) from ${schema}.settings)`],
        ['keys', `update ${schema}.keys set private_key = 'x' where ctid = (select min(ctid) from ${schema}.keys)`],
        ['heads', `update ${schema}.heads set revision = revision + 1 where ctid = (select min(ctid) from ${schema}.heads)`],
        ['pull_counts', `update ${schema}.pull_counts set pulls = pulls + 1 where ctid = (select min(ctid) from ${schema}.pull_counts)`],
        ['trail', `delete from ${schema}.trail where pos = (select max(pos) from ${schema}.trail)`],
        ['callers', `update ${schema}.callers set name = 'mallory' where ctid = (select min(ctid) from ${schema}.callers)`],
      ]
      for (const [, statement = ''] of tampering) await ownPool.query(statement)
      const differences = await verify(rebuilding)
      expect(differences.map((each) => each.table).sort()).toEqual(tampering.map(([table]) => table).sort())
      for (const { live, rebuilt } of differences) expect(live.length + rebuilt.length).toBeGreaterThan(0)

      const { version: rebuilt } = await rebuild(rebuilding, false)
      expect(rebuilt).toBeGreaterThan(version)
      expect(await verify(rebuilding)).toEqual([])
      expect(await read(ownPool, schemaName(rebuilt))).toEqual(linesOf(written.expected))
    } finally {
      await ownPool.end()
      await own.drop()
    }
  })

  it('are made anew where another release made them, with other tables, and left where this one did', async () => {
    const own = await testDatabase()
    const ownPool = new pg.Pool({ ...own.connection, max: 4, pipeline: true })
    let outdated = 0
    try {
      const written = await write(22, 500)
      const asked = { pool: ownPool, log: written.log, reads: written.reads, onOutdated: () => void (outdated += 1) }
      const first = await foldableVersion(asked)
      for (const group of groups) await foldInBatches(ownPool, schemaName(first), group, written, batches(22, 300))
      expect([await foldableVersion(asked), outdated]).toEqual([first, 0])
      // As one of before there were such comments.
      await ownPool.query(`alter table ${schemaName(first)}.projects drop column visibility; comment on schema ${schemaName(first)} is null`)
      const second = await foldableVersion(asked)
      expect([second > first, outdated]).toEqual([true, 1])
      expect(await read(ownPool, schemaName(second))).toEqual(linesOf(written.expected))
      expect([await foldableVersion(asked), outdated]).toEqual([second, 1])
      await ownPool.query(`comment on schema ${schemaName(second)} is 'another'`)
      expect([(await foldableVersion(asked)) > second, outdated]).toEqual([true, 2])
    } finally {
      await ownPool.end()
      await own.drop()
    }
  })
})
