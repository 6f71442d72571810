import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** What a process of this machine (Linux) holds open. */
export type Handles = {
  /** Connections of the clients of a port. */
  readonly clients: number
  /** Files in its data folder. */
  readonly files: readonly string[]
  /** The rest, but sockets: those to Postgres come and go. */
  readonly others: number
}

/** Reads what is open from /proc. */
export function handlesOf(pid: number, port: number, dataFolder: string): Handles {
  const folder = `/proc/${pid}/fd`
  const targets = readdirSync(folder).flatMap((name) => linkOf(join(folder, name)))
  const sockets = clientSockets(pid, port)
  return {
    clients: targets.filter((target) => sockets.has(target)).length,
    files: targets.filter((target) => target.startsWith(dataFolder)),
    others: targets.filter((target) => !target.startsWith('socket:') && !target.startsWith(dataFolder)).length,
  }
}

/** Resident memory, in MiB. */
export function residentMiB(pid: number): number {
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)
}

function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)]
  } catch {
    // It was closed meanwhile.
    return []
  }
}

/** The accepted connections of a port, as links in a process's `fd` name them; the one that listens (state 0A) is none. */
function clientSockets(pid: number, port: number): ReadonlySet<string> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = ['tcp', 'tcp6'].flatMap((family) => readFileSync(`/proc/${pid}/net/${family}`, 'utf8').split('\n').slice(1))
  return new Set(lines.map((line) => line.trim().split(/\s+/)).filter(([, address, , state]) => address?.endsWith(local) === true && state !== '0A').map((fields) => `socket:[${fields[9] ?? ''}]`))
}
