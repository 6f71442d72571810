import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMicros, peakMiB, resetPeak, sharedOnceMiB } from './processes.ts'
import type { Registry, Trail } from './registry.ts'
import type { Figures, Latency, Split } from './results.ts'

/** What a load says of itself. */
export type Loaded = { readonly value: number; readonly latency?: Latency; readonly answered: number; readonly failed: number }

/**
 * Which of the answered requests must be on record afterwards: `counted`, in the log and in the counters of pulls; `noted`, in the log;
 * `none`, as for pushes.
 */
export type OnRecord = 'counted' | 'noted' | 'none'

const DRAIN_MS = 120_000

/**
 * Runs a load and takes what it cost: memory at its end, CPU time when all that it left to be done is done. Throws where a pull that was
 * answered is not on record.
 */
export async function measureLoad(registry: Registry, onRecord: OnRecord, load: () => Promise<Loaded>): Promise<Figures> {
  const { trail } = registry
  const before = registry.processes()
  const [head, counted] = trail === undefined ? [0, 0] : [await trail.head(), await trail.counted()]
  resetPeak(before.server)
  const used = cpuOf(registry)
  const { value, latency, answered, failed } = await load()
  const lagEvents = await trail?.lag()
  const memoryMiB = split(registry, peakMiB, sharedOnceMiB)
  const ended = performance.now()
  if (trail !== undefined) await drained(trail)
  const drainSeconds = (performance.now() - ended) / 1000
  const now = cpuOf(registry)
  const cost = (spent: number): number => Math.round(spent / Math.max(1, answered))
  const figures: Figures = {
    value, answered, failed, memoryMiB,
    ...(latency === undefined ? {} : { latency }),
    cpuMicros: {
      server: cost(now.server - used.server),
      ...(now.database === undefined ? {} : { database: cost(now.database - (used.database ?? 0)) }),
    },
  }
  if (trail === undefined || lagEvents === undefined) return figures
  if (onRecord === 'none') return { ...figures, lagEvents, drainSeconds }
  const recorded = await trail.recordedAfter(head)
  const newlyCounted = (await trail.counted()) - counted
  if (recorded < answered) throw new Error(`${answered} pulls were answered, and ${recorded} are on record`)
  if (onRecord === 'counted' && newlyCounted < answered) throw new Error(`${answered} pulls were answered, and ${newlyCounted} are counted`)
  return { ...figures, lagEvents, drainSeconds, recorded }
}

/** Waits until the trail has handled every event. */
export async function drained(trail: Trail): Promise<void> {
  const deadline = Date.now() + DRAIN_MS
  while ((await trail.lag()) > 0) {
    await sleep(20)
    if (Date.now() > deadline) throw new Error(`the trail did not catch up in ${DRAIN_MS} ms`)
  }
}

const cpuOf = (registry: Registry): Split => split(registry, cpuMicros, cpuMicros)

function split(registry: Registry, ofServer: (pids: readonly number[]) => number, ofDatabase: (pids: readonly number[]) => number): Split {
  const { server, database } = registry.processes()
  return { server: ofServer(server), ...(database.length === 0 ? {} : { database: ofDatabase(database) }) }
}
