import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mountDisk } from '../support/disk.ts'
import type { StandIn } from '../support/eventstoredb.ts'
import { seeded } from '../support/random.ts'
import type { Seeded } from '../support/random.ts'
import { startVarve } from '../support/server.ts'
import { checkPushes, checkStored, checkWhole, finishUploads, ready } from './checks.ts'
import { FAULTS, FILLS } from './faults.ts'
import type { FaultName, Site } from './faults.ts'
import { nothingTold, startLoad } from './load.ts'
import type { Told } from './load.ts'

const DISK_BYTES = 4 * 2 ** 30
/** Of the pushes of earlier rounds, so many are pulled again after each; all of them after the last. */
const EARLIER_CHECKED = 50

/** One of each kind, for `npm test`; a stop of 20 s takes too long for it. */
export const EACH: readonly FaultName[] = [
  'kill -9 of Varve', 'kill -9 of Postgres', 'kill -9 of both', 'Varve stopped for 5 s', 'Postgres stopped for 5 s', 'blobs\' disk full', 'both disks full', 'torn last write',
]
/** How often each comes in a long run: what takes 20 s comes seldom. */
export const WEIGHED: readonly FaultName[] = [
  ...EACH, ...EACH, 'Varve stopped for 20 s', 'Postgres stopped for 20 s', 'both disks full', 'torn last write', 'torn last write',
]

/** Of the log's own server, each kind once, and as often as in a long run. */
export const EACH_OF_LOG: readonly FaultName[] = [
  'the log killed', 'the log ended in order', 'the log stopped for 5 s', 'connections to the log cut', 'answers of the log lost', 'kill -9 of Varve',
]
export const WEIGHED_OF_LOG: readonly FaultName[] = [...EACH_OF_LOG, ...EACH_OF_LOG, 'the log stopped for 20 s', 'kill -9 of Postgres', 'torn last write']

export type FaultReport = {
  readonly seed: number
  readonly pushes: number
  readonly pulls: number
  /** How many rounds had each fault. */
  readonly rounds: ReadonlyMap<FaultName, number>
  readonly problems: readonly string[]
}

/**
 * Rounds of 16 pushers and 16 pullers, in each of which one fault happens at a moment that the seed picks. After each the registry must
 * be what its clients were told. Faults come in an order that the seed picks, all of `kinds` before any comes again. `log`: the log's server, where it is not Postgres.
 */
export async function faultRounds(
  seed: number, rounds: number, kinds: readonly FaultName[], say: (line: string) => void, log?: StandIn,
): Promise<FaultReport> {
  const random = seeded(seed)
  const [site, leave] = await openSite(log)
  const { server } = site
  const possible = kinds.filter((name) => site.disks !== undefined || !FILLS.includes(name))
  if (possible.length < kinds.length) say('this machine lets nobody mount a file system: no disk is filled')
  const told = nothingTold()
  const done = new Map<FaultName, number>()
  const problems: string[] = []
  try {
    for (let round = 1, left: FaultName[] = []; round <= rounds && problems.length === 0; round += 1) {
      if (left.length === 0) left = [...possible]
      const [name = 'kill -9 of both'] = left.splice(random.below(left.length), 1)
      const before = told.pushed.size
      const words = await runRound(site, seeded(random.below(2 ** 32)), told, name, problems)
      const images = [...told.pushed.values()]
      const earlier = Array.from({ length: Math.min(EARLIER_CHECKED, images.length) }, () => random.pick(images))
      problems.push(...(await checkPushes(server, told, new Set([...images.slice(before), ...earlier]))))
      done.set(name, (done.get(name) ?? 0) + 1)
      say(`round ${round}: ${name} ${words}; ${told.pushed.size} pushes and ${told.delivered.size} pulls so far, ${problems.length} problems`)
    }
    if (problems.length === 0) problems.push(...(await checkPushes(server, told, told.pushed.values())), ...(await checkWhole(server, told)))
    if (log !== undefined && problems.length === 0) problems.push(...(await checkStored(server, log)))
    if (problems.length > 0) say(server.output().slice(-20_000))
    return { seed, pushes: told.pushed.size, pulls: told.delivered.size, rounds: done, problems }
  } finally {
    await leave()
  }
}

async function runRound(site: Site, random: Seeded, told: Told, name: FaultName, problems: string[]): Promise<string> {
  const { server } = site
  const stopLoad = startLoad(server, random, told)
  const afterMs = 200 + random.below(1_300)
  await sleep(afterMs)
  const { did, ended, check } = await FAULTS[name](site, random, told)
  await stopLoad()
  if (ended === true) await server.restart()
  else if (!server.alive()) throw new Error(`${name} (${did}) ended Varve:\n${server.output().slice(-4_000)}`)
  await ready(server)
  const refused = { ...told.refused }
  Object.assign(told.refused, { pushes: 0, pulls: 0 })
  problems.push(...((await check?.(told)) ?? []), ...(await finishUploads(server, told, name === 'torn last write')))
  return `after ${afterMs} ms: ${did}; ${refused.pushes} pushes and ${refused.pulls} pulls answered 503`
}

/** A server whose blobs and whose data folder stand on disks of their own, where such can be mounted. */
async function openSite(log: StandIn | undefined): Promise<readonly [Site, () => Promise<void>]> {
  const logEnv: Readonly<Record<string, string>> = log === undefined ? {} : { VARVE_LOG: log.url }
  const [blobs, data] = [mountDisk(DISK_BYTES), mountDisk(DISK_BYTES)]
  const unmount = () => {
    blobs?.unmount()
    data?.unmount()
  }
  if (blobs === undefined || data === undefined) {
    unmount()
    const server = await startVarve({ env: logEnv })
    return [{ server, blobFolder: server.dataFolder, log, disks: undefined }, () => server.stop()]
  }
  const [dataFolder, blobFolder] = [join(data.folder, 'data'), join(blobs.folder, 'blobs')]
  await mkdir(dataFolder)
  const server = await startVarve({ dataFolder, env: { ...logEnv, VARVE_BLOBS: `file:${blobFolder}`, VARVE_MIN_FREE: '0' } })
  const leave = async () => {
    await server.stop()
    unmount()
  }
  return [{ server, blobFolder, log, disks: { blobs, data } }, leave]
}
