import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../../src/storage/durable.ts'
import { childrenOf, statOf } from './processes.ts'

/** The postmaster of a data folder. */
export function postmasterOf(dataFolder: string): number {
  return Number(readFileSync(join(dataFolder, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])
}

/** Every process of a data folder's Postgres: the postmaster, its helpers and its sessions. */
export function postgresProcesses(dataFolder: string): number[] {
  const postmaster = postmasterOf(dataFolder)
  return [postmaster, ...childrenOf(postmaster)]
}

/** Stops every process of a Postgres but `except`, and answers which, once none of them runs any more. */
export async function stopPostgres(dataFolder: string, except: readonly number[] = []): Promise<number[]> {
  // The postmaster first, which then makes no more of them.
  await stopProcesses([postmasterOf(dataFolder)])
  const pids = postgresProcesses(dataFolder).filter((pid) => !except.includes(pid))
  await stopProcesses(pids)
  return pids
}

/** Has a Postgres stopped as a machine that swaps or a network that hangs would: connections stay open, and nothing answers. */
export async function whilePostgresStopped<T>(dataFolder: string, work: () => Promise<T>): Promise<T> {
  const stopped = await stopPostgres(dataFolder)
  try {
    return await work()
  } finally {
    signalAll(stopped, 'SIGCONT')
  }
}

/** SIGSTOP, until none of them runs any more. */
export async function stopProcesses(pids: readonly number[]): Promise<void> {
  signalAll(pids, 'SIGSTOP')
  while (pids.some((pid) => !/^[TZX]?$/.test(statOf(pid)?.state ?? ''))) await sleep(1)
}

/** To each that still lives. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error
    }
  }
}
