import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { hasCode } from '../durable.ts'
import type { Binaries } from './binaries.ts'
import { PORT } from './connection.ts'
import { ids, withoutProgram, wrapped } from './identity.ts'
import type { Identity } from './identity.ts'
import { isPostmasterOf } from './pid-file.ts'
import { CHILD_ENV } from './processes.ts'

const STOP_PATIENCE_MS = 10_000
const ADOPTED_POLL_MS = 500

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

/** A postmaster that we spawned or found; `exited` says how it ended. */
export type Postmaster = { readonly pid: number; readonly exited: Promise<string>; isOver(): boolean }

/** Starts a postmaster; it does not take connections yet when this returns. */
export async function spawnPostmaster(
  binaries: Binaries, cluster: string, socketFolder: string, logFile: string, identity: Identity,
): Promise<Postmaster> {
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [program, parameters] = wrapped(identity, binaries.postgres, ['-D', cluster, '-k', socketFolder, ...settings])
  const output = openSync(logFile, 'a', 0o600)
  try {
    // A session of its own: the terminal's Ctrl-C is for Varve, which then ends Postgres in its own order.
    const child = spawn(program, parameters, {
      ...ids(identity),
      cwd: '/',
      env: CHILD_ENV,
      stdio: ['ignore', output, output],
      detached: true,
    })
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

/** A postmaster that another process spawned, whose end only looking can tell. */
export function watchAdopted(pid: number, cluster: string): Postmaster {
  let over = false
  async function watch(): Promise<string> {
    while (await isPostmasterOf(pid, cluster)) await delay(ADOPTED_POLL_MS, undefined, { ref: false })
    over = true
    return 'the adopted process ended'
  }
  return { pid, exited: watch(), isOver: () => over }
}

/** Ends a postmaster, and its sessions with it, and waits for its end. */
export async function endPostmaster(postmaster: Postmaster, log: (line: string) => void): Promise<void> {
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

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error: unknown) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}
