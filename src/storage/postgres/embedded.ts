import { chown, mkdir, readFile, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { ignoring } from '../durable.ts'
import { findBinaries } from './binaries.ts'
import { initialise } from './cluster.ts'
import { PORT, connectionTo } from './connection.ts'
import type { Connection } from './connection.ts'
import { holdServerLock } from './held-lock.ts'
import { explain, identityFor } from './identity.ts'
import { rotateLog } from './log-file.ts'
import { isPostmasterOf, readPidFile } from './pid-file.ts'
import { endPostmaster, spawnPostmaster, watchAdopted } from './postmaster.ts'
import type { Postmaster } from './postmaster.ts'
import { makeSocketFolder, removeSocketFolder } from './socket-folder.ts'
import { AlreadyRunningError, takeStartLock } from './start-lock.ts'

export { AlreadyRunningError }
export type { Connection }

/*
 * A PostgreSQL of Varve's own, in the data folder. It is always in one of these states:
 *
 *   none     nobody runs on the folder: a start spawns a postmaster
 *   orphan   a postmaster runs and nobody holds its advisory lock (its Varve was killed): a start adopts it
 *   owned    a postmaster runs and its Varve holds the lock: a second start is refused
 *
 * The lock is a session's, so it goes with the process that held it, however that process ended.
 */

export type EmbeddedOptions = {
  readonly dataFolder: string
  readonly log?: (line: string) => void
  /** Start the postmaster again whenever it dies by itself. */
  readonly keepRunning?: boolean
}

export type EmbeddedPostgres = {
  /** The same for life: a postmaster that is started again listens in the same place. */
  readonly connection: Connection
  readonly pid: number
  /** Shuts Postgres down, adopted or not, and waits for its end. Ends open sessions. */
  stop(): Promise<void>
}

const SHARED_MEMORY_PATIENCE_MS = 30_000
const LOG_BYTES = 10 * 1024 * 1024

/** How to reach the Postgres that runs in a data folder, or undefined where none does: for commands beside a running server. */
export async function connectToRunning(dataFolder: string): Promise<Connection | undefined> {
  const cluster = join(resolve(dataFolder), 'postgres')
  const file = await readPidFile(cluster)
  if (file === undefined || !file.ready || !(await isPostmasterOf(file.pid, cluster))) return undefined
  return connectionTo(file)
}

/**
 * Starts the data folder's Postgres, or adopts the one that a killed server left, and holds the server lock for life.
 * Throws AlreadyRunningError when another server holds it. Makes the folder and the cluster at the first start.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined)
  await mkdir(options.dataFolder, { recursive: true, mode: 0o700 })
  const folder = await realpath(options.dataFolder)
  const cluster = join(folder, 'postgres')
  const logFile = join(folder, 'postgres.log')
  const binaries = await findBinaries()
  const identity = await identityFor(folder)

  /** A postmaster that takes connections, and the lock held in it. The caller has the start lock. */
  type Held = { readonly postmaster: Postmaster; readonly connection: Connection; readonly lock: Client }

  async function adopt(): Promise<Held | undefined> {
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

  async function start(socketFolder: string): Promise<Held> {
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

  async function begin(): Promise<Held & { readonly adopted: boolean }> {
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

  async function again(socketFolder: string): Promise<Held> {
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
  function keepLock(of: Held): void {
    of.lock.on('end', () => {
      async function retake(): Promise<void> {
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

  async function supervise(): Promise<void> {
    for (;;) {
      keepLock(held)
      const since = Date.now()
      const { postmaster } = held
      const reason = await postmaster.exited
      if (isStopping()) return
      log(`Postgres (process ${postmaster.pid}) ended by itself: ${reason}`)
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

  async function end(): Promise<void> {
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
    get pid() {
      return held.postmaster.pid
    },
    stop: () => (ended ??= end()),
  }
}
