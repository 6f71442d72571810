import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mountDisk } from '../support/disk.ts'
import { seeded } from '../support/random.ts'
import type { Seeded } from '../support/random.ts'
import { startVarve } from '../support/server.ts'
import { checkPushes, checkWhole, finishUploads, ready, settled } from './checks.ts'
import { FAULTS, FILLS } from './faults.ts'
import type { FaultName, LogServer, Site } from './faults.ts'
import { nothingTold, startLoad } from './load.ts'
import type { Told } from './load.ts'

const DISK_BYTES = 4 * 2 ** 30
/** Of the pushes of earlier rounds, so many are pulled again after each; all of them after the last. */
const EARLIER_CHECKED = 50
/** While another node of the log can lead, no request waits longer than this, and none fails. */
const PATIENCE_MS = 10_000

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
  'the log\'s leader killed', 'the log\'s leader ended in order', 'the log\'s leader stopped for 5 s', 'connections to the log cut', 'answers of the log lost', 'kill -9 of Varve',
]
export const WEIGHED_OF_LOG: readonly FaultName[] = [...EACH_OF_LOG, ...EACH_OF_LOG, 'the log\'s leader stopped for 20 s', 'kill -9 of Postgres', 'torn last write']

/** Of several nodes that have the log, one of which leads: nothing that keeps Varve from reaching another. */
export const EACH_OF_CLUSTER: readonly FaultName[] = [
  'the log\'s leader killed', 'the log\'s leader ended in order', 'the log\'s leader stopped for 8 s', 'the log\'s leader made to resign', 'connections to the log cut',
  'a follower of the log ended',
]
export const WEIGHED_OF_CLUSTER: readonly FaultName[] = [
  ...EACH_OF_CLUSTER, ...EACH_OF_CLUSTER, 'the log\'s leader stopped for 5 s', 'the log\'s leader stopped for 20 s', 'the log\'s leader stopped for 20 s', 'answers of the log lost',
]

export type FaultReport = {
  readonly seed: number
  readonly pushes: number
  readonly pulls: number
  /** How many requests were answered 503, or not at all. */
  readonly failed: number
  /** The longest that one waited. */
  readonly longestMs: number
  /** How many rounds had each fault. */
  readonly rounds: ReadonlyMap<FaultName, number>
  readonly problems: readonly string[]
}

/**
 * Rounds of 16 pushers and 16 pullers, in each of which one fault happens at a moment that the seed picks. After each the registry must
 * be what its clients were told. Faults come in an order that the seed picks, all of `kinds` before any comes again. `log`: the log's server, where it is not
 * Postgres; of several nodes one can always lead, so that no request may fail.
 */
export async function faultRounds(
  seed: number, rounds: number, kinds: readonly FaultName[], say: (line: string) => void, log?: LogServer,
): Promise<FaultReport> {
  const random = seeded(seed)
  const [site, leave] = await openSite(log)
  const { server } = site
  const possible = kinds.filter((name) => site.disks !== undefined || !FILLS.includes(name))
  if (possible.length < kinds.length) say('this machine lets nobody mount a file system: no disk is filled')
  const told = nothingTold()
  const done = new Map<FaultName, number>()
  const problems: string[] = []
  let [failed, longestMs] = [0, 0]
  try {
    for (let round = 1, left: FaultName[] = []; round <= rounds && problems.length === 0; round += 1) {
      if (left.length === 0) left = [...possible]
      const [name = 'kill -9 of both'] = left.splice(random.below(left.length), 1)
      const before = told.pushed.size
      const outcome = await runRound(site, seeded(random.below(2 ** 32)), told, name)
      failed += outcome.failed
      longestMs = Math.max(longestMs, outcome.longestMs)
      const images = [...told.pushed.values()]
      const earlier = Array.from({ length: Math.min(EARLIER_CHECKED, images.length) }, () => random.pick(images))
      const found = [...outcome.problems, ...(await checkPushes(server, told, new Set([...images.slice(before), ...earlier])))]
      problems.push(...found, ...(log === undefined || found.length > 0 ? [] : await checkWhole(server, told, log)))
      done.set(name, (done.get(name) ?? 0) + 1)
      say(`round ${round}: ${name} ${outcome.words}; ${told.pushed.size} pushes and ${told.delivered.size} pulls so far, ${problems.length} problems`)
    }
    if (problems.length === 0) problems.push(...(await checkPushes(server, told, told.pushed.values())), ...(await checkWhole(server, told, log)))
    if (problems.length > 0) say(server.output().slice(-20_000))
    return { seed, pushes: told.pushed.size, pulls: told.delivered.size, failed, longestMs, rounds: done, problems }
  } finally {
    await leave()
  }
}

type Outcome = { readonly words: string; readonly failed: number; readonly longestMs: number; readonly problems: readonly string[] }

async function runRound(site: Site, random: Seeded, told: Told, name: FaultName): Promise<Outcome> {
  const { server, log } = site
  const stopLoad = startLoad(server, random, told)
  const afterMs = 200 + random.below(1_300)
  await sleep(afterMs)
  const { did, ended, check } = await FAULTS[name](site, random, told)
  await stopLoad()
  if (ended === true) await server.restart()
  else if (!server.alive()) throw new Error(`${name} (${did}) ended Varve:\n${server.output().slice(-4_000)}`)
  await ready(server)
  if (log !== undefined) await settled(log)
  const { refused: { pushes, pulls, unanswered }, longestMs } = told
  Object.assign(told, { refused: { pushes: 0, pulls: 0, unanswered: 0 }, longestMs: 0 })
  const failed = pushes + pulls + unanswered
  const problems = [...((await check?.(told)) ?? []), ...(await finishUploads(server, told, name === 'torn last write'))]
  const waited = `${pushes} pushes and ${pulls} pulls answered 503, ${unanswered} requests not, the longest wait ${Math.round(longestMs)} ms`
  if (log !== undefined && log.nodes.length > 1 && (failed > 0 || longestMs > PATIENCE_MS)) problems.push(`${name} (${did}), though another node could lead: ${waited}`)
  return { words: `after ${afterMs} ms: ${did}; ${waited}`, failed, longestMs, problems }
}

/** A server whose blobs and whose data folder stand on disks of their own, where such can be mounted. */
async function openSite(log: LogServer | undefined): Promise<readonly [Site, () => Promise<void>]> {
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
