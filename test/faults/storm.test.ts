import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { whilePostgresStopped } from '../support/postgres-processes.ts'
import { registryClient, sha256 } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import { recordedPulls } from './checks.ts'

const CLIENTS = 200
const BEFORE_SECONDS = 3
const PAUSE_MS = 2_000
/** Ten times what it should take, since machines are noisy. */
const BACK_WITHIN_SECONDS = 10
const ENOUGH = 0.8

type Answer = { readonly begunAt: number; readonly endedAt: number; readonly status: number; readonly request: string }

it('serves nothing unrecorded while the log is paused for 2 s in a storm of pulls, and goes on as before', async () => {
  const server = await startVarve()
  const { call, pushImage } = registryClient(server)
  const { digest, layerDigest } = await pushImage('storm/app', '1', Buffer.alloc(10_000, 'x'))
  const asked = [['manifests/1', digest], [`manifests/${digest}`, digest], [`blobs/${layerDigest}`, layerDigest]] as const
  const answers: Answer[] = []
  const wrong: string[] = []
  const end = new AbortController()

  async function pullUntilEnd(): Promise<void> {
    for (let turn = 0; !end.signal.aborted; turn += 1) {
      const [path, expected] = asked[turn % asked.length] ?? asked[0]
      const begunAt = performance.now()
      const response = await call('GET', `/v2/storm/app/${path}`)
      const bytes = Buffer.from(await response.arrayBuffer())
      answers.push({ begunAt, endedAt: performance.now(), status: response.status, request: response.headers.get('x-request-id') ?? '' })
      if (response.status !== 200 || sha256(bytes) !== expected) wrong.push(`${path} was answered ${response.status}`)
    }
  }
  /** Answers in the second that begins then. */
  const inSecond = (from: number): number => answers.filter(({ endedAt }) => endedAt >= from && endedAt < from + 1_000).length

  const clients = Array.from({ length: CLIENTS }, pullUntilEnd)
  // The first second is for connections to be made.
  await sleep(1_000 + BEFORE_SECONDS * 1_000)
  const pause = await whilePostgresStopped(server.dataFolder, async () => {
    const from = performance.now()
    await sleep(PAUSE_MS)
    return { from, until: performance.now() }
  })
  const before = Array.from({ length: BEFORE_SECONDS }, (_, second) => inSecond(pause.from - (BEFORE_SECONDS - second) * 1_000))
  const usual = before.toSorted((left, right) => left - right)[Math.floor(BEFORE_SECONDS / 2)] ?? 0
  const after: number[] = []
  while (after.length < BACK_WITHIN_SECONDS && (after.length < 3 || Math.max(...after) < ENOUGH * usual)) {
    const from = pause.until + after.length * 1_000
    await sleep(from + 1_000 - performance.now())
    after.push(inSecond(from))
  }
  end.abort()
  await Promise.all(clients)
  process.stderr.write(`pulls a second of ${CLIENTS} clients: ${before.join(', ')}; 2 s without the log; ${after.join(', ')}\n`)

  expect(wrong).toEqual([])
  // What was recorded before the pause may still be on its way; what was asked for in it must wait for its end.
  expect(answers.filter(({ begunAt, endedAt }) => begunAt > pause.from && endedAt < pause.until)).toEqual([])
  const recorded = await recordedPulls(server)
  expect(answers.filter(({ request }) => !recorded.has(request))).toEqual([])
  expect(answers.some(({ begunAt, endedAt }) => begunAt < pause.until && endedAt > pause.until)).toBe(true)
  expect(Math.max(...after)).toBeGreaterThanOrEqual(ENOUGH * usual)
}, 120_000)
