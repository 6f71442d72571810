import { readFileSync, writeFileSync } from 'node:fs'

/** What the clock of /proc ticks in; 100 a second on every Linux that Varve runs on. */
const TICK_MICROS = 10_000

/** CPU time that the processes have used so far, in µs, with that of children which ended. */
export function cpuMicros(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const words = read(pid, 'stat').replace(/^.*\) /s, '').split(' ')
    for (const word of words.slice(11, 15)) ticks += Number(word)
  }
  return ticks * TICK_MICROS
}

/** The peak of resident memory starts anew from here. */
export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5')
    } catch {
      // It ended, or is another user's: then its peak counts from its start.
    }
  }
}

/** The sum of each process's peak of resident memory, in MiB. */
export const peakMiB = (pids: readonly number[]): number => sumOf(pids, 'status', /^VmHWM:\s+(\d+)/m)

/** Resident memory now, in MiB. */
export const residentMiB = (pids: readonly number[]): number => sumOf(pids, 'status', /^VmRSS:\s+(\d+)/m)

/** Memory now, in MiB, with what processes share counted once (Pss). */
export const sharedOnceMiB = (pids: readonly number[]): number => sumOf(pids, 'smaps_rollup', /^Pss:\s+(\d+)/m)

function sumOf(pids: readonly number[], file: string, line: RegExp): number {
  return pids.reduce((sum, pid) => sum + Number(line.exec(read(pid, file))?.[1] ?? 0), 0) / 1024
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // It ended meanwhile.
    return ''
  }
}
