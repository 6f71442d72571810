import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { createCodec } from '../src/commands/codec.ts'
import { eventTypes } from '../src/commands/event-types.ts'
import { algorithmOf, hexOf } from '../src/oci/digest.ts'
import type { BlobStore } from '../src/ports/blob-store.ts'
import type { EncodedEvent, EventLog } from '../src/ports/event-log.ts'
import type { Sealer } from '../src/ports/key-store.ts'
import { position } from '../src/ports/position.ts'
import { laneOf } from '../src/ports/streams.ts'
import type { Lane } from '../src/ports/streams.ts'
import { openPostgresLog } from '../src/storage/events/postgres/log.ts'
import { loadMasterKey, openFileKeyStore } from '../src/storage/keys/file.ts'
import { createSealer } from '../src/storage/keys/sealer.ts'
import { generateHistory } from '../test/support/history.ts'
import type { History, HistoryShape } from '../test/support/history.ts'

export type Filling = {
  readonly dataFolder: string
  /** The data folder's Postgres, which must run. */
  readonly connection: pg.ClientConfig
  /** How many records the log is to have more: a state event counts as one, and so does each pull, login, token and refusal. */
  readonly records: number
  readonly entriesPerEvent: number
  readonly seed: number
  /** Of the records, so many are state events; `stateShare` of the shape is made from it. */
  readonly stateShare: number
  readonly shape?: Partial<Omit<HistoryShape, 'stateShare'>>
}

type Waiting = { readonly stream: string; readonly revision: number; readonly event: EncodedEvent }

/** So many events, or bytes of them, go to Postgres in one transaction. */
const FLUSH_EVENTS = 5_000
const FLUSH_BYTES = 8_000_000

export type BulkLog = EventLog & {
  /** All that was appended is in the log, and what plans queries knows of it. */
  settle(): Promise<void>
}

/** Puts a history into a data folder as fast as may be; manifests as blobs, unsynced. For benchmarks only. */
export async function fill({ dataFolder, connection, records, entriesPerEvent, seed, stateShare, shape }: Filling): Promise<History> {
  const log = await openBulkLog(connection)
  const stateEvents = records * stateShare
  const activityEvents = (records - stateEvents) / entriesPerEvent
  try {
    const history = await generateHistory(log, {
      seed,
      events: Math.round(stateEvents + activityEvents),
      start: new Date('2026-01-01T00:00:00.000Z'),
      sealer: await sealerOf(dataFolder),
      blobs: await unsyncedBlobs(dataFolder),
      entriesPerEvent,
      shape: { repositories: 300, callers: 200, ...shape, stateShare: stateEvents / (stateEvents + activityEvents) },
    })
    await log.settle()
    return history
  } finally {
    await log.close()
  }
}

/** What seals under the keys of a data folder. */
export async function sealerOf(dataFolder: string): Promise<Sealer> {
  return createSealer(await openFileKeyStore({ folder: dataFolder, masterKey: await loadMasterKey(join(dataFolder, 'master.key')) }))
}

/**
 * A log that is appended to as fast as may be: events as the codec writes them, under the log's lock at dense positions, but many to
 * a statement, later than its append says, and without what an append checks. The positions that it answers are made up.
 */
export async function openBulkLog(connection: pg.ClientConfig): Promise<BulkLog> {
  const codec = createCodec(eventTypes)
  const log = await openPostgresLog(connection, codec)
  const client = new pg.Client(connection)
  await client.connect()
  let waiting: Waiting[] = []
  let waitingBytes = 0
  let flushed: Promise<unknown> = Promise.resolve()

  async function flush(): Promise<void> {
    const batch = waiting
    waiting = []
    waitingBytes = 0
    // One flush runs while the next batch is made.
    const before = flushed
    flushed = before.then(() => write(batch))
    await before
  }

  async function write(batch: readonly Waiting[]): Promise<void> {
    await client.query('begin')
    const { rows } = await client.query<{ head: string }>('select varve_log.lock_and_head() as head')
    const head = Number(rows[0]?.head)
    const numbered = batch.map((each, index) => ({ ...each, position: head + 1 + index }))
    for (const lane of ['state', 'activity'] as const) await insert(lane, numbered.filter((each) => laneOf(each.stream) === lane))
    await client.query('commit')
  }

  async function insert(lane: Lane, rows: readonly (Waiting & { readonly position: number })[]): Promise<void> {
    if (rows.length === 0) return
    await client.query(
      `insert into varve_log.${lane} (pos, stream, rev, id, hash, body)
       select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::uuid[], $5::bytea[], $6::text[])`,
      [
        rows.map((row) => row.position),
        rows.map((row) => row.stream),
        rows.map((row) => row.revision),
        rows.map((row) => row.event.id),
        rows.map((row) => row.event.hash),
        rows.map((row) => row.event.text),
      ],
    )
  }

  return {
    ...log,
    async append(stream, expected, events) {
      for (const [index, given] of events.entries()) {
        const event = codec.encode(given)
        waiting.push({ stream, revision: expected + 1 + index, event })
        waitingBytes += event.sizeBytes
      }
      if (waiting.length >= FLUSH_EVENTS || waitingBytes >= FLUSH_BYTES) await flush()
      return { status: 'appended', positions: events.map((_, index) => position('bulkfill', index + 1)) }
    },
    async settle() {
      await flush()
      await flushed
      await client.query('vacuum analyze varve_log.state')
      await client.query('vacuum analyze varve_log.activity')
    },
    async close() {
      await client.end()
      await log.close()
    },
  }
}

async function unsyncedBlobs(dataFolder: string): Promise<Pick<BlobStore, 'put'>> {
  const folder = join(dataFolder, 'blobs')
  for (const algorithm of ['sha256', 'sha512']) {
    for (let fan = 0; fan < 256; fan += 1) await mkdir(join(folder, algorithm, fan.toString(16).padStart(2, '0')), { recursive: true })
  }
  return {
    async put(digest, bytes) {
      const hex = hexOf(digest)
      await writeFile(join(folder, algorithmOf(digest), hex.slice(0, 2), hex), bytes)
      return 'stored'
    },
  }
}
