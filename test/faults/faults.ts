import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { connectToRunning } from '../../src/storage/postgres/embedded.ts'
import type { Disk } from '../support/disk.ts'
import type { StandIn, StandInCluster } from '../support/eventstoredb.ts'
import { postmasterOf, signalAll, stopPostgres, stopProcesses, whilePostgresStopped } from '../support/postgres-processes.ts'
import type { Seeded } from '../support/random.ts'
import { sha256 } from '../support/registry.ts'
import type { VarveServer } from '../support/server.ts'
import { manifestOf, pullImage, pushAtOnce, pushManifest } from './load.ts'
import type { Told } from './load.ts'
import { plantTornBlob, tearUploads, tearWal } from './torn.ts'
import type { WalEnd } from './torn.ts'

/** Long enough to see that Varve waits for what is away, and answers again. */
const GOES_ON_MS = 1_500
const ANSWERS_MS = 1_000
/** How often a Postgres is stopped to find it with something that it has not synced. */
const STOPS = 50
/** How long a node that was ended stays away at most: longer than the others take to find another leader. */
const AWAY_MS = 4_000

/** The log's server, where it is not Postgres: a node alone, which leads, or several. */
export type LogServer = Pick<StandInCluster, 'url' | 'nodes' | 'leader' | 'stored'>

/** What faults are done to. */
export type Site = {
  readonly server: VarveServer
  readonly blobFolder: string
  /** The log's server, where it is not Postgres. */
  readonly log: LogServer | undefined
  /** What the blobs and the rest of the data folder stand on; undefined where none can be mounted. */
  readonly disks: { readonly blobs: Disk; readonly data: Disk } | undefined
}

type Done = {
  readonly did: string
  /** Varve is to be started again. */
  readonly ended?: true
  /** What is to be looked at once the registry answers again; it answers the problems. */
  readonly check?: (told: Told) => Promise<string[]>
}
type Fault = (site: Site, random: Seeded, told: Told) => Promise<Done>

/** Each is done under load. */
export const FAULTS = {
  'kill -9 of Varve': kill('varve'),
  'kill -9 of Postgres': kill('postgres'),
  'kill -9 of both': kill('both'),
  'Varve stopped for 5 s': stopVarve(5_000),
  'Varve stopped for 20 s': stopVarve(20_000),
  'Postgres stopped for 5 s': stopDatabase(5_000),
  'Postgres stopped for 20 s': stopDatabase(20_000),
  'blobs\' disk full': fill('blobs'),
  'both disks full': fill('both'),
  'torn last write': tear,
  'the log\'s leader killed': endLeader('SIGKILL'),
  'the log\'s leader ended in order': endLeader('SIGTERM'),
  'the log\'s leader stopped for 5 s': stopLeader(5_000),
  'the log\'s leader stopped for 8 s': stopLeader(8_000),
  'the log\'s leader stopped for 20 s': stopLeader(20_000),
  'the log\'s leader made to resign': resignLeader,
  'a follower of the log ended': endFollower,
  'connections to the log cut': cutConnections,
  'answers of the log lost': loseAnswers,
} as const satisfies Readonly<Record<string, Fault>>

export type FaultName = keyof typeof FAULTS

/** Those that need disks to mount. */
export const FILLS: readonly FaultName[] = ['blobs\' disk full', 'both disks full']

function logOf({ log }: Site): LogServer {
  if (log === undefined) throw new Error('the log is in Postgres')
  return log
}

async function endFor(node: StandIn, signal: NodeJS.Signals, random: Seeded): Promise<Done> {
  const ms = GOES_ON_MS + random.below(AWAY_MS - GOES_ON_MS)
  await node.endFor(signal, ms)
  await sleep(ANSWERS_MS)
  return { did: `away for ${ms} ms` }
}

function endLeader(signal: 'SIGKILL' | 'SIGTERM'): Fault {
  return async (site, random) => endFor(await logOf(site).leader(), signal, random)
}

async function endFollower(site: Site, random: Seeded): Promise<Done> {
  const log = logOf(site)
  const leader = await log.leader()
  const follower = random.pick(log.nodes.filter((node) => node !== leader))
  return endFor(follower, random.pick(['SIGKILL', 'SIGTERM']), random)
}

function stopLeader(ms: number): Fault {
  return async (site) => {
    await (await logOf(site).leader()).freezeFor(ms)
    await sleep(ANSWERS_MS)
    return { did: 'stopped' }
  }
}

async function resignLeader(site: Site): Promise<Done> {
  const log = logOf(site)
  const before = await log.leader()
  await before.act({ kind: 'resign' })
  await sleep(GOES_ON_MS + ANSWERS_MS)
  return { did: (await log.leader()) === before ? 'nobody else leads' : 'another leads' }
}

async function cutConnections(site: Site): Promise<Done> {
  const leader = await logOf(site).leader()
  for (let times = 0; times < 5; times += 1) {
    await leader.act({ kind: 'cut-connections' })
    await sleep(GOES_ON_MS / 5)
  }
  await sleep(ANSWERS_MS)
  return { did: 'cut five times' }
}

/** Of some appends that were made, and of some that were not: whoever sent them knows of neither. */
async function loseAnswers(site: Site, random: Seeded): Promise<Done> {
  const leader = await logOf(site).leader()
  for (let times = 0; times < 4; times += 1) {
    await leader.fault({ kind: 'lost-answer', written: random.below(2) === 0, cut: random.below(2) === 0, calls: ['append'], times: 1 })
    await sleep(GOES_ON_MS)
  }
  await leader.clearFaults()
  await sleep(ANSWERS_MS)
  return { did: 'four lost' }
}

function kill(victim: 'varve' | 'postgres' | 'both'): Fault {
  return async ({ server }) => {
    if (victim !== 'varve') process.kill(postmasterOf(server.dataFolder), 'SIGKILL')
    if (victim !== 'postgres') {
      await server.kill('SIGKILL')
      return { did: 'killed', ended: true }
    }
    await sleep(GOES_ON_MS)
    return { did: 'killed' }
  }
}

function stopVarve(ms: number): Fault {
  return async ({ server }) => {
    await stopProcesses([server.pid])
    await sleep(ms)
    signalAll([server.pid], 'SIGCONT')
    await sleep(ANSWERS_MS)
    return { did: 'stopped' }
  }
}

function stopDatabase(ms: number): Fault {
  return async ({ server }) => {
    await whilePostgresStopped(server.dataFolder, () => sleep(ms))
    await sleep(ANSWERS_MS)
    return { did: 'stopped' }
  }
}

function fill(what: 'blobs' | 'both'): Fault {
  return async ({ server, disks }, random, told) => {
    if (disks === undefined) throw new Error('no disk to fill')
    const before = told.refused.pushes
    const full = what === 'blobs' ? [disks.blobs] : [disks.data, disks.blobs]
    const endsLog = what === 'both' && random.below(2) === 0
    for (const disk of full) disk.fill()
    const switches = endsLog ? await useUpWal(server.dataFolder) : 0
    await sleep(GOES_ON_MS)
    for (const disk of full) disk.free()
    const refused = told.refused.pushes - before
    await sleep(ANSWERS_MS)
    // Where the log waits for room, so do pushes: they are answered 503 after 10 s, or go on.
    const check = () => Promise.resolve(what === 'blobs' && refused === 0 ? ['no push was answered 503 while the disk was full'] : [])
    return { did: `${refused} pushes answered 503${endsLog ? `, ${switches} files of WAL used up` : ''}`, check }
  }
}

/** Postgres keeps files of its WAL ready, so that a full disk ends it only after those; it answers how many it took. */
async function useUpWal(dataFolder: string): Promise<number> {
  const db = await connect(dataFolder)
  let switches = 0
  try {
    // A file with nothing in it would not be left for the next.
    for (; switches < 100; switches += 1) await db.query("select pg_logical_emit_message(false, 'faults', 'something'); select pg_switch_wal()")
  } catch {
    // It found no room and went down.
  }
  await db.end().catch(() => undefined)
  return switches
}

/**
 * What a power failure leaves: Varve and Postgres dead at once, and of what they had not synced any part. To know what was synced, all of
 * Postgres but the session that asks is stopped first, so that nothing more is, and nothing more is acknowledged.
 */
async function tear({ server, blobFolder }: Site, random: Seeded): Promise<Done> {
  const db = await connect(server.dataFolder)
  const session = (await db.query<{ pid: number }>('select pg_backend_pid() as pid')).rows.map(({ pid }) => pid)
  const { stopped, end } = await stoppedAt(server.dataFolder, db, session)
  await server.kill('SIGKILL')
  signalAll([...stopped, ...session], 'SIGKILL')
  const torn = [tearWal(server.dataFolder, end, random), tearUploads(blobFolder, random)]

  const [config, layer] = [random.bytes(100), random.bytes(5_000)]
  const content = { name: 'faults/torn', tag: 'planted', config, layer }
  const manifest = manifestOf(content)
  for (const bytes of [config, layer, manifest]) plantTornBlob(blobFolder, sha256(bytes), bytes, random)
  async function check(told: Told): Promise<string[]> {
    for (const blob of [config, layer]) {
      if (!(await pushAtOnce(server, told, content.name, blob))) return ['a blob of which a part was left was not taken']
    }
    if (!(await pushManifest(server, told, content))) return ['a manifest of which a part was left was not taken']
    const before = told.wrong.length
    await pullImage(server, told, { ...content, digest: sha256(manifest), layer: sha256(layer) })
    return told.wrong.slice(before)
  }
  return { did: `tore ${torn.join(', ')}`, ended: true, check }
}

/** Stops a Postgres but for the session, and learns from that the end of its WAL. */
async function stoppedAt(dataFolder: string, db: Client, session: readonly number[]): Promise<{ readonly stopped: number[]; readonly end: WalEnd }> {
  for (let stops = 1; ; stops += 1) {
    const stopped = await stopPostgres(dataFolder, session)
    const asked = db.query<WalEnd>('select pg_current_wal_flush_lsn() as flushed, pg_current_wal_insert_lsn() as written')
    const answered = await Promise.race([asked, sleep(1_000, undefined)])
    const [end] = answered?.rows ?? []
    if (end !== undefined && (end.written !== end.flushed || stops >= STOPS)) return { stopped, end }
    // It had synced all, or one of its processes was stopped while it held what the question needs.
    signalAll(stopped, 'SIGCONT')
    await asked
  }
}

async function connect(dataFolder: string): Promise<Client> {
  const db = new Client(await connectToRunning(dataFolder))
  db.on('error', () => undefined)
  await db.connect()
  return db
}
