import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { childrenOf } from './processes.ts'

/** The postmaster of a data folder. */
export function postmasterOf(dataFolder: string): number {
  return Number(readFileSync(join(dataFolder, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])
}

/** Every process of a data folder's Postgres: the postmaster, its helpers and its sessions. */
export function postgresProcesses(dataFolder: string): number[] {
  const postmaster = postmasterOf(dataFolder)
  return [postmaster, ...childrenOf(postmaster)]
}
