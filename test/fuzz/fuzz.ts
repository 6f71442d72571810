import { setTimeout as delay } from 'node:timers/promises'
import { seeded } from '../support/random.ts'
import type { Seeded } from '../support/random.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { wireClient } from '../support/wire.ts'
import type { Answer } from '../support/wire.ts'
import { aftermath } from './aftermath.ts'
import { converse, written } from './conversation.ts'
import { createCoverage } from './coverage.ts'
import { handlesOf, residentMiB } from './handles.ts'
import { problemOf } from './judge.ts'
import { MUTATIONS } from './mutations.ts'
import { RAW, planOf } from './plan.ts'
import type { Cell } from './plan.ts'
import { METHODS, requestTo, steadyRequest, targetOf } from './requests.ts'
import type { Request, World } from './requests.ts'
import { ROUTES } from './answers.ts'
import { SAMENESS } from './sameness.ts'
import { problemOfScript } from './script.ts'
import { settle, tokensFor } from './world.ts'

const WORKERS = 16
const PATIENCE_MS = 30_000
const MAX_PROBLEMS = 20
const MAX_UPLOADS = 50
/** So many requests take less time than a token lasts. */
const REQUESTS_A_TOKEN = 20_000
const METRICS_TOKEN = 'a-token-for-metrics'

export type FuzzReport = {
  readonly coverage: ReturnType<typeof createCoverage>
  /** How many answers there were of each status. */
  readonly statuses: Readonly<Record<string, number>>
  /** The server's resident memory at each tenth of the run. */
  readonly memoryMiB: readonly number[]
  readonly problems: readonly string[]
}

/** Sends what the seed says to a server of its own, and answers all that was not as it should be. */
export async function fuzz(seed: number, requests: number): Promise<FuzzReport> {
  const server = await startVarve({ env: { VARVE_TRUSTED_PROXIES: '127.0.0.1', VARVE_METRICS_TOKEN: METRICS_TOKEN } })
  try {
    return await fuzzServer(server, seed, requests)
  } finally {
    await server.stop()
  }
}

async function fuzzServer(server: VarveServer, seed: number, requests: number): Promise<FuzzReport> {
  const settled = await settle(server, METRICS_TOKEN)
  const uploads = [...settled.uploads]
  let current: World = { ...settled, uploads }
  const { pid } = server
  const before = { pid, handles: handlesOf(pid, Number(new URL(server.url).port), server.dataFolder) }
  const wire = wireClient(server)
  const planned = planOf(seed)
  const coverage = createCoverage()
  const statuses: Record<string, number> = {}
  const memoryMiB = [residentMiB(pid)]
  const problems: string[] = []

  /** Counts answers, and remembers the uploads that they tell of. */
  function note(answers: readonly Answer[]): void {
    for (const { status, headers } of answers) {
      statuses[status] = (statuses[status] ?? 0) + 1
      if (status === 202 && headers.location?.includes('/blobs/uploads/') === true) uploads.push(headers.location)
      if (uploads.length > MAX_UPLOADS) uploads.shift()
    }
  }

  /** One request, or several that belong together: as a text, and what is wrong with the answers once it is made. */
  function prepare({ kind, route, method }: Cell, random: Seeded, world: World): { readonly sent: string; readonly problem: () => Promise<string | undefined> } {
    const next = (): Request => requestTo(random.pick(ROUTES), random.pick(METHODS), world, random)
    const [mutation, raw, same] = [MUTATIONS[kind], RAW[kind], SAMENESS[kind]]
    if (mutation !== undefined) {
      const request = mutation(requestTo(route, method, world, random), random, world)
      return { sent: shown([written(request)]), problem: () => polite(request, world) }
    }
    if (raw !== undefined) {
      const script = raw(requestTo(route, method, world, random), random, next, world)
      const methods = script.requests.map((each) => each.method)
      const problem = async (): Promise<string | undefined> => {
        const heard = await converse(server, { ending: 'answered', ...script, methods })
        note(heard.answers)
        return problemOfScript(script, heard, world)
      }
      return { sent: shown(script.pieces), problem }
    }
    const steady = steadyRequest(route, method, world, random)
    const others = (): Request => steadyRequest(random.pick(ROUTES), random.pick(METHODS), world, random)
    return { sent: shown([written(steady)]), problem: async () => same?.(server, steady, random, others) }
  }

  async function polite(request: Request, world: World): Promise<string | undefined> {
    const { method, headers, body } = request
    const answer = await wire.ask(method, targetOf(request), { headers: Object.fromEntries(headers), ...(body === undefined ? {} : { body }) })
    note([answer])
    return problemOf(request, answer, world)
  }

  const shown = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString('latin1').slice(0, 1_000).replaceAll(settled.authorization, '…')

  let index = 0
  async function work(): Promise<void> {
    while (index < requests && problems.length < MAX_PROBLEMS) {
      const mine = index++
      if (mine % Math.ceil(requests / 10) === 0 && mine > 0) memoryMiB.push(residentMiB(pid))
      if (mine % REQUESTS_A_TOKEN === 0 && mine > 0) current = { ...settled, uploads, ...(await tokensFor(server, settled.scoped)) }
      const cell = planned(mine)
      const { sent, problem } = prepare(cell, seeded(seed + mine * 7_919), current)
      coverage.add(cell)
      const found = await within(problem()).catch((error: unknown) => String(error))
      if (found !== undefined) problems.push(`request ${mine}, ${cell.kind}, ${cell.method} ${cell.route}: ${found}\n${sent}`)
    }
  }
  try {
    await Promise.all(Array.from({ length: WORKERS }, work))
  } finally {
    wire.close()
  }
  memoryMiB.push(residentMiB(pid))
  problems.push(...(await aftermath(server, before)))
  return { coverage, statuses, memoryMiB, problems: problems.slice(0, MAX_PROBLEMS) }
}

async function within<T>(work: Promise<T>): Promise<T> {
  const ended = new AbortController()
  const late = delay(PATIENCE_MS, undefined, { signal: ended.signal }).then(() => {
    throw new Error(`no answer in ${PATIENCE_MS} ms`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    ended.abort()
    late.catch(() => undefined)
  }
}
