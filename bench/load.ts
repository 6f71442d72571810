import { join } from 'node:path'
import { outputOf, runClient } from './client/child.ts'
import type { RepeatAnswer, RepeatTask } from './client/repeat.ts'
import { findProgram } from './programs.ts'

/** Asks for the same thing over so many connections, each one request after another: GET by wrk with one thread, HEAD by our client. */
export function hammer(task: RepeatTask): Promise<RepeatAnswer> {
  return task.method === 'HEAD' ? (runClient('repeat', task) as Promise<RepeatAnswer>) : byWrk(task)
}

/** GETs of so many tags in turn; their number, of seven digits, takes the place of the star in the path. */
export const hammerTags = (task: RepeatTask, tags: number): Promise<RepeatAnswer> => byWrk(task, ['--', String(tags)])

type WrkAnswer = {
  readonly requests: number
  readonly bytes: number
  readonly micros: number
  readonly refused: number
  readonly broken: number
  readonly timeouts: number
  readonly latency: readonly [number, number, number, number, number]
}

async function byWrk({ port, path, headers, connections, seconds }: RepeatTask, more: readonly string[] = []): Promise<RepeatAnswer> {
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const load = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '30s', '-s', join(import.meta.dirname, 'wrk.lua')]
  const said = await outputOf(findProgram('wrk') ?? 'wrk', [...load, ...fields, `http://127.0.0.1:${port}${path}`, ...more])
  const { requests, bytes, micros, refused, broken, timeouts, latency } = JSON.parse(/^JSON (.*)$/m.exec(said)?.[1] ?? '') as WrkAnswer
  const [p50, p90, p99, p999, max] = latency
  return {
    answered: requests - refused,
    failed: refused + broken + timeouts,
    bytes,
    seconds: micros / 1e6,
    latency: { p50: p50 / 1000, p90: p90 / 1000, p99: p99 / 1000, p999: p999 / 1000, max: max / 1000 },
  }
}
