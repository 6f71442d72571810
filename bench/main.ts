import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { hasCode } from '../src/storage/durable.ts'
import { commit, machine, versions } from './machine.ts'
import { PEERS, PEER_NAMES, isThere, startPeer } from './peers.ts'
import { findProgram } from './programs.ts'
import type { Registry } from './registry.ts'
import { renderInto } from './report.ts'
import { merge, resultsText } from './results.ts'
import type { Figures, RegistryName, Results, RowResult, Run } from './results.ts'
import { blobRows } from './rows/blobs.ts'
import { eventStoreRows } from './rows/eventstoredb.ts'
import { growthRows } from './rows/growth.ts'
import { listRows, startRows } from './rows/lists.ts'
import { manifestRows } from './rows/manifests.ts'
import { pushRows } from './rows/pushes.ts'
import { sizeRows } from './rows/size.ts'
import { stormRows } from './rows/storm.ts'
import { tokenRows } from './rows/tokens.ts'
import type { Row } from './row.ts'
import { stopAll } from './running.ts'
import { startOwn } from './varve.ts'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    /** A pattern of row names. */
    only: { type: 'string', default: '' },
    /** Names with commas between, or `none`. */
    peers: { type: 'string', default: PEER_NAMES.join() },
    /** Where the report goes. */
    out: { type: 'string', default: join(import.meta.dirname, '../docs') },
    /** Write the report anew, and measure nothing. */
    render: { type: 'boolean', default: false },
  },
})

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const all: readonly Row[] = [...manifestRows, ...blobRows, ...pushRows, ...stormRows, ...tokenRows, ...listRows, ...startRows, ...sizeRows, ...eventStoreRows, ...growthRows]
const wanted = all.filter(({ name }) => new RegExp(options.only, 'i').test(name))
const peers = PEER_NAMES.filter((name) => options.peers.split(',').includes(name))
if (wanted.length === 0) throw new Error(`no row is called like ${options.only}`)
if (findProgram('wrk') === undefined) throw new Error('wrk, which makes the load, is missing: apt-get install wrk')
const missing = peers.filter((name) => !isThere(name))
for (const name of missing) say(`${name} is missing, and left out. What brings it: ${PEERS[name].bring}`)

const there = peers.filter((name) => !missing.includes(name))
const run: Run = {
  date: new Date().toISOString(),
  commit: commit(),
  rounds: Number(options.rounds),
  seconds: Number(options.seconds),
  machine: machine(),
  versions: versions(there),
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopAll().finally(() => process.exit(1)))
}
const failures: string[] = []
await report(options.render ? [] : await measureAll())
for (const failure of failures) say(`failed: ${failure}`)
say(`${failures.length} failed; ${Math.round(performance.now() / 60_000)} minutes`)
process.exitCode = failures.length === 0 ? 0 : 1

async function measureAll(): Promise<RowResult[]> {
  const registries: Registry[] = []
  try {
    registries.push(await startOwn())
    for (const name of there) registries.push(await startPeer(name))
    for (const row of wanted) for (const registry of registries) if (row.registries.includes(registry.name)) await row.prepare?.(registry)
    const measured = new Map<Row, Partial<Record<RegistryName, Figures[]>>>(wanted.map((row) => [row, {}]))
    for (let number = 1; number <= run.rounds; number += 1) {
      say(`round ${number} of ${run.rounds}`)
      // Each round begins with another registry, so that none has the same neighbour's leavings every time.
      const first = number % registries.length
      const order = [...registries.slice(first), ...registries.slice(0, first)]
      for (const [row, figures] of [...measured].filter(([{ rounds = Infinity }]) => number <= rounds)) {
        for (const registry of order.filter(({ name }) => row.registries.includes(name))) {
          const taken = await measureOne(row, registry)
          if (taken !== undefined) (figures[registry.name] ??= []).push(taken)
        }
      }
    }
    return [...measured]
      .filter(([, figures]) => Object.keys(figures).length > 0)
      .map(([{ group, name, unit }, figures]) => ({ group, name, unit, run: run.date, measured: figures }))
  } finally {
    for (const row of wanted) await row.end?.()
    await stopAll()
  }
}

/** What fails is said at the end, and keeps nothing else from being measured. */
async function measureOne(row: Row, registry: Registry): Promise<Figures | undefined> {
  try {
    const taken = await row.measure(registry, run.seconds)
    say(`  ${row.name}: ${registry.name} ${taken.value.toPrecision(4)} ${row.unit}`)
    return taken
  } catch (error) {
    failures.push(`${row.name}: ${registry.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    say(`  ${row.name}: ${registry.name} FAILED`)
    return undefined
  }
}

async function report(rows: readonly RowResult[]): Promise<void> {
  await mkdir(options.out, { recursive: true })
  const file = join(options.out, 'benchmarks.json')
  const results = merge(await readResults(file), run, rows)
  await writeFile(file, resultsText(results))
  await renderInto(options.out, results, all.map(({ name }) => name))
  say(`written: ${join(options.out, 'benchmarks.md')}`)
}

async function readResults(file: string): Promise<Results> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Results
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    return { runs: [], rows: [] }
  }
}
