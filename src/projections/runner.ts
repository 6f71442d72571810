import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientBase, Pool } from 'pg'
import type { EventLog } from '../ports/event-log.ts'
import type { Recorded } from '../ports/event.ts'
import { comparePositions, parsePosition } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { laneOf } from '../ports/streams.ts'
import { createReader } from './needs.ts'
import { isPassing } from './passing.ts'
import { createBatch, createDictionaries } from './writer.ts'
import type { Batch } from './writer.ts'
import type { Pace } from './pace.ts'
import type { ProjectionGroup, Reads } from './projection.ts'

/** How far a group has come. `ordinal` and `asOf` are those of the state lane up to there. */
export type Checkpoint = { readonly position: Position | undefined; readonly ordinal: number; readonly asOf: string }

class CheckpointError extends Error {
  override readonly name = 'CheckpointError'
}

export type Folder = Awaited<ReturnType<typeof openFolder>>

const START: Checkpoint = { position: undefined, ordinal: 0, asOf: '' }

export type Committed = { readonly events: readonly Recorded[]; readonly position: Position }

/** What so many events need is read together. */
const AT_ONCE = 64
/** What a batch without a marker gathers, in changes: few, and each statement pays for itself; many, and they fill the memory. */
const MAX_CHANGES = 5_000
/** How often a checkpoint moves when only events of other lanes have passed. */
const IDLE_CHECKPOINT_MS = 10_000

export async function readCheckpoint(client: Pool | ClientBase, schema: string, group: string): Promise<Checkpoint> {
  const { rows } = await client.query<{ position: string | null; ordinal: string; as_of: string }>(
    `select position, ordinal, as_of from ${schema}.checkpoints where name = $1`,
    [group],
  )
  const [row] = rows
  if (row === undefined) return START
  return { position: row.position === null ? undefined : parsePosition(row.position), ordinal: Number(row.ordinal), asOf: row.as_of }
}

/** What was folded and is not written yet, and what the next event goes on from. */
type Open = { readonly batch: Batch; readonly ordinal: number; readonly asOf: string }

/**
 * Folds events into rows of one schema. Rows and checkpoint move in one transaction, the checkpoint by compare-and-set, so a
 * second writer of the same schema stops instead of counting twice. `pool`: its clients pipeline, or each statement waits for the one
 * before. `load`: the schema is new, not live and without its indexes.
 */
export async function openFolder(pool: Pool, schema: string, group: ProjectionGroup, reads: Reads, load = false) {
  const dictionaries = createDictionaries()
  const reader = createReader(reads, group.projections)
  let checkpoint = await readCheckpoint(pool, schema, group.name)
  /** Where the last commit was to lead: one without an answer may have been done. */
  let attempted = checkpoint
  const openAt = ({ ordinal, asOf }: Pick<Open, 'ordinal' | 'asOf'>): Open => ({ batch: createBatch(dictionaries), ordinal, asOf })
  let open = openAt(checkpoint)

  async function moveCheckpoint(client: ClientBase, next: Checkpoint): Promise<void> {
    const { rowCount } = await client.query(
      `insert into ${schema}.checkpoints as c (name, position, ordinal, as_of) values ($1, $2, $3, $4)
       on conflict (name) do update set position = $2, ordinal = $3, as_of = $4 where c.position is not distinct from $5`,
      [group.name, next.position, next.ordinal, next.asOf, checkpoint.position],
    )
    if (rowCount !== 1) throw new CheckpointError(`the checkpoint of ${group.name} in ${schema} is not where it was left`)
  }

  async function fold(events: readonly Recorded[]): Promise<void> {
    const { batch } = open
    let { ordinal, asOf } = open
    for (let from = 0; from < events.length; from += AT_ONCE) {
      const some = events.slice(from, from + AT_ONCE)
      const { manifestFor, opened } = await reader.readFor(some)
      for (const recorded of some) {
        if (laneOf(recorded.stream) === 'state') {
          ordinal += 1
          if (recorded.event.at > asOf) asOf = recorded.event.at
        }
        const context = { ordinal, asOf, manifest: manifestFor(recorded), opened }
        for (const projection of group.projections) for (const change of projection.fold(recorded, context)) batch.add(change)
      }
    }
    open = { batch, ordinal, asOf }
  }

  async function write(position: Position): Promise<void> {
    const { batch, ordinal, asOf } = open
    open = openAt(open)
    const next = { position, ordinal, asOf }
    attempted = next
    const client = await pool.connect()
    let broken: Error | undefined
    try {
      const begun = client.query(group.synced && !load ? 'begin' : 'begin; set local synchronous_commit = off')
      // In one go where the client pipelines: each way to Postgres and back is time in which the pushes wait that this makes visible.
      await Promise.all([begun, batch.write(client, schema, load), moveCheckpoint(client, next)])
      await client.query('commit')
      checkpoint = next
    } catch (error) {
      dictionaries.forget()
      broken = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      // A client whose transaction failed is not handed to anybody else.
      client.release(broken)
    }
  }

  return {
    checkpoint: () => checkpoint,
    /**
     * Takes up the checkpoint that Postgres has: after its crash it may be behind, or where the last commit was to lead. One that is
     * anywhere else ahead is another process's.
     */
    async reload(): Promise<void> {
      const stored = await readCheckpoint(pool, schema, group.name)
      const ahead = stored.position !== undefined && (checkpoint.position === undefined || comparePositions(stored.position, checkpoint.position) > 0)
      if (ahead && stored.position !== attempted.position) throw new Error(`another process moves the checkpoint of ${group.name} in ${schema}`)
      checkpoint = stored
      open = openAt(stored)
      // Numbers that were given in commits which the crash took away are to be given anew.
      dictionaries.forget()
    },
    /** Folds the group's next events, in order, after those that were folded before. */
    fold,
    /** How many changes were folded and are not written. */
    gathered: () => open.batch.size(),
    /** Commits what was folded, and the position that it reaches to. What comes after may be folded meanwhile, but not written. */
    write,
    /** Commits the events and the position that they reach to. */
    async commit(events: readonly Recorded[], position: Position): Promise<void> {
      await fold(events)
      await write(position)
    },
  }
}

/** A group that follows the log, and who is told of what. */
export type Following = {
  readonly log: EventLog
  readonly folder: Folder
  readonly group: ProjectionGroup
  readonly signal: AbortSignal
  /** When a group that has come to the head goes on; undefined: at once. */
  readonly pace: Pace | undefined
  readonly onCommitted: (committed: Committed) => void
  readonly onInterrupted: (error: unknown) => void
  /** After an interruption: some events may have been committed without `onCommitted` being told of them. */
  readonly onResumed: () => void
}

/**
 * Follows the log for good. Postgres being away is waited for; anything else, such as an event that this release does not know,
 * stops the group loudly: the returned promise rejects.
 */
export async function follow(following: Following): Promise<void> {
  const { folder, signal, onInterrupted, onResumed } = following
  let failures = 0
  const ended = (): boolean => signal.aborted
  while (!ended()) {
    try {
      if (failures > 0) {
        await folder.reload()
        onResumed()
      }
      await followOnce(following, () => {
        failures = 0
      })
    } catch (error) {
      if (ended()) return
      if (!isPassing(error) && !(error instanceof CheckpointError)) throw error
      failures += 1
      onInterrupted(error)
      await sleep(Math.min(100 * 2 ** failures, 2_000), undefined, { signal }).catch(() => undefined)
    }
  }
}

async function followOnce({ log, folder, group, signal, pace, onCommitted }: Following, progressed: () => void): Promise<void> {
  const { position } = folder.checkpoint()
  let events: Recorded[] = []
  let savedAt = performance.now()
  let goal = pace === undefined ? undefined : await log.head()
  for await (const delivery of log.subscribe(group.lanes, position === undefined ? 'start' : { after: position }, signal)) {
    if (delivery.kind === 'event') {
      events.push(delivery.recorded)
      continue
    }
    const idle = events.length === 0
    const saved = folder.checkpoint().position
    const moved = saved === undefined || comparePositions(delivery.position, saved) > 0
    if (!idle || (moved && performance.now() - savedAt > IDLE_CHECKPOINT_MS)) {
      await folder.commit(events, delivery.position)
      savedAt = performance.now()
    }
    progressed()
    onCommitted({ events, position: delivery.position })
    events = []
    // What is behind goes on without a pause, up to where the log was when the last pause ended.
    if (pace === undefined || (goal !== undefined && comparePositions(delivery.position, goal) < 0)) continue
    await pace(signal)
    goal = await log.head()
  }
}

/** A group that is folded up to a position, and stops there. */
export type Load = { readonly folder: Folder; readonly group: ProjectionGroup; readonly end: Position }

/**
 * Folds groups that stand at one position, each up to its own end: for rebuilds, and for commands that run without a server. The log
 * is read once for all of them, and the next events are folded while the last ones are written.
 */
export async function foldUpTo(log: EventLog, loads: readonly Load[], onProgress: (group: ProjectionGroup, position: Position) => void): Promise<void> {
  const lanes = [...new Set(loads.flatMap(({ group }) => group.lanes))]
  const from = loads[0]?.folder.checkpoint().position
  const last = loads.map(({ end }) => end).sort(comparePositions).at(-1)
  const writing = new Map<Folder, Promise<void>>()
  let events: Recorded[] = []

  async function write({ folder, group }: Load, position: Position): Promise<void> {
    await writing.get(folder)
    const written = folder.write(position)
    // It is waited for before the next one, or at the end.
    written.catch(() => undefined)
    writing.set(folder, written)
    onProgress(group, position)
  }

  async function fold(): Promise<void> {
    const batch = events
    events = []
    const reached = batch.at(-1)?.position
    for (const load of loads) {
      const { folder, group, end } = load
      await folder.fold(batch.filter((each) => group.lanes.includes(laneOf(each.stream)) && comparePositions(each.position, end) <= 0))
      if (reached !== undefined && comparePositions(reached, end) < 0 && folder.gathered() > MAX_CHANGES) await write(load, reached)
    }
  }

  for await (const recorded of log.readAll(lanes, from === undefined ? 'start' : { after: from })) {
    if (last === undefined || comparePositions(recorded.position, last) > 0) break
    events.push(recorded)
    if (events.length >= 4 * AT_ONCE) await fold()
  }
  await fold()
  for (const load of loads) {
    const reached = load.folder.checkpoint().position
    if (load.folder.gathered() > 0 || reached === undefined || comparePositions(load.end, reached) > 0) await write(load, load.end)
  }
  await Promise.all(writing.values())
}
