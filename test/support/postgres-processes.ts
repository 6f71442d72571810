import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The postmaster of a data folder. */
export function postmasterOf(dataFolder: string): number {
  return Number(readFileSync(join(dataFolder, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])
}

/** Every process of a data folder's Postgres: the postmaster, its helpers and its sessions. */
export function postgresProcesses(dataFolder: string): number[] {
  const postmaster = postmasterOf(dataFolder)
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
  return [postmaster, ...all.filter((pid) => parentOf(pid) === postmaster)]
}

/** A bare Debian has no `ps`. The name in `stat` is in brackets and may hold spaces; the parent is the second word after it. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1])
  } catch {
    // It ended meanwhile.
    return undefined
  }
}
