import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { ProcessStarted } from '../src/commands/activity/events.ts'
import { createCodec } from '../src/commands/codec.ts'
import { eventTypes } from '../src/commands/event-types.ts'
import { LogNamed } from '../src/commands/log/events.ts'
import type { Fact } from '../src/ports/event.ts'
import { openPostgresLog } from '../src/storage/events/postgres/log.ts'
import { startEmbeddedPostgres } from '../src/storage/postgres/embedded.ts'
import { fill } from './fill.ts'
import { median } from './results.ts'

const root = join(import.meta.dirname, '..')
/** What /proc counts processor time in. */
const TICKS_A_SECOND = 100

export type RebuildResult = {
  /** The whole command, its Postgres started and stopped with it. */
  readonly seconds: number
  readonly foldSeconds: number
  readonly indexSeconds: number
  /** Of the command's process, without Postgres. */
  readonly cpuSeconds: number
  readonly peakMiB: number
}

/** Runs `varve rebuild` on a data folder as a process, and looks at it from outside. Linux only: it reads /proc. */
export async function measureRebuild(dataFolder: string): Promise<RebuildResult> {
  const started = performance.now()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(root, 'src/main.ts'), 'rebuild'], {
    env: { ...process.env, VARVE_DATA: dataFolder },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  let [peakMiB, cpuSeconds] = [0, 0]
  const looking = setInterval(() => {
    try {
      const folder = `/proc/${child.pid ?? 0}`
      peakMiB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`${folder}/status`, 'utf8'))?.[1] ?? peakMiB * 1024) / 1024
      const [user, system] = readFileSync(`${folder}/stat`, 'utf8').split(' ').slice(13, 15)
      cpuSeconds = (Number(user) + Number(system)) / TICKS_A_SECOND
    } catch {
      // It has ended.
    }
  }, 50)
  const code = await new Promise((resolve) => child.once('close', resolve))
  clearInterval(looking)
  const [, fold, indexes] = /folded in ([\d.]+) s, indexes made in ([\d.]+) s/.exec(said) ?? []
  if (code !== 0 || fold === undefined || indexes === undefined) throw new Error(`varve rebuild ended with ${String(code)}: ${said}`)
  return { seconds: (performance.now() - started) / 1000, foldSeconds: Number(fold), indexSeconds: Number(indexes), cpuSeconds, peakMiB }
}

/** The same, on a folder of its own that is filled before: 30 % state events, a pull, login, token or refusal counted as one record. */
export async function measureFilled(records: number, entriesPerEvent: number): Promise<RebuildResult> {
  return withPostgres(async (dataFolder, connection, stop) => {
    await fill({ dataFolder, connection, records, entriesPerEvent, stateShare: 0.3, seed: 1 })
    await stop()
    return measureRebuild(dataFolder)
  })
}

export type SnapshotResult = { readonly appends: number; readonly beside: number; readonly without: number }

/**
 * The buffers that an append touches after another session has held a snapshot for `seconds` while appends went on, and after as many
 * appends without one: a longer log has deeper indexes in any case.
 */
export async function measureSnapshot(seconds: number): Promise<SnapshotResult> {
  const { appends, buffers: beside } = await appendAndCount((done) => done < seconds * 1000, true)
  const { buffers: without } = await appendAndCount((_, count) => count < appends, false)
  return { appends, beside, without }
}

async function appendAndCount(more: (ms: number, appends: number) => boolean, snapshot: boolean): Promise<{ readonly appends: number; readonly buffers: number }> {
  return withPostgres(async (_, connection) => {
    const log = await openPostgresLog(connection, createCodec(eventTypes))
    const [client, holder] = [new pg.Client(connection), new pg.Client(connection)]
    await client.connect()
    await holder.connect()
    const actor = { kind: 'system', subject: randomUUID() } as const
    const eventOf = (fact: Fact) => ({ ...fact, id: randomUUID(), at: new Date().toISOString(), actor })
    const stream = `activity-${actor.subject}`
    await log.append('log', -1, [eventOf(LogNamed({ log: 'snapshot' }))])
    await log.append(stream, -1, [eventOf(ProcessStarted({ release: '1' }))])
    if (snapshot) await holder.query('begin isolation level repeatable read')
    await holder.query('select count(*) from varve_log.activity')

    const started = performance.now()
    let appends = 0
    for (; more(performance.now() - started, appends); appends += 1) await log.append(stream, appends, [eventOf(ProcessStarted({ release: '1' }))])
    const touched: number[] = []
    while (touched.length < 101) {
      const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
        `explain (analyze, buffers, format json) select * from varve_log.append_activity('${stream}', ${appends + touched.length}, gen_random_uuid(), '', '{}')`,
      )
      const plan = rows[0]?.['QUERY PLAN'][0].Plan
      touched.push((plan?.['Shared Hit Blocks'] ?? NaN) + (plan?.['Shared Read Blocks'] ?? NaN))
    }
    for (const each of [holder, client]) await each.end()
    await log.close()
    return { appends, buffers: median(touched) }
  })
}

async function withPostgres<T>(work: (dataFolder: string, connection: pg.ClientConfig, stop: () => Promise<void>) => Promise<T>): Promise<T> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'varve-bench-'))
  const postgres = await startEmbeddedPostgres({ dataFolder })
  try {
    return await work(dataFolder, postgres.connection, () => postgres.stop())
  } finally {
    await postgres.stop()
    await rm(dataFolder, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { records: { type: 'string', default: '100000,1000000' }, snapshot: { type: 'string', default: '0' } } })
  if (values.snapshot !== '0') {
    const { appends, beside, without } = await measureSnapshot(Number(values.snapshot))
    process.stdout.write(`after ${appends} appends in ${values.snapshot} s: ${beside} buffers an append beside a snapshot held all the time, ${without} without one\n`)
  } else {
    process.stdout.write('records | entries an event | records/s | folded (s) | indexes (s) | CPU of the process (s) | peak (MiB)\n')
    for (const entriesPerEvent of [1, 100]) {
      for (const records of values.records.split(',').map(Number)) {
        const { seconds, foldSeconds, indexSeconds, cpuSeconds, peakMiB } = await measureFilled(records, entriesPerEvent)
        const cells = [records, entriesPerEvent, Math.round(records / seconds), foldSeconds, indexSeconds, cpuSeconds, Math.round(peakMiB)]
        process.stdout.write(`${cells.join(' | ')}\n`)
      }
    }
  }
}
