import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The postmaster of a data folder. */
export function postmasterOf(dataFolder: string): number {
  return Number(readFileSync(join(dataFolder, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])
}

/** Every process of a data folder's Postgres: the postmaster, its helpers and its sessions. */
export function postgresProcesses(dataFolder: string): number[] {
  const postmaster = postmasterOf(dataFolder)
  const table = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
  const children = table.split('\n').flatMap((line) => {
    const [pid, parent] = line.trim().split(/\s+/).map(Number)
    return parent === postmaster && pid !== undefined ? [pid] : []
  })
  return [postmaster, ...children]
}
