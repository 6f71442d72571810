import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { startStandInCluster } from '../support/eventstoredb.ts'
import type { StandIn } from '../support/eventstoredb.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'

/** A request waits no longer than this for the log. */
const PATIENCE_MS = 10_000

it.each<[string, (leader: StandIn) => Promise<void>]>([
  ['is killed', (leader) => leader.endFor('SIGKILL', 8_000)],
  ['freezes for 20 s', (leader) => leader.freezeFor(20_000)],
])('pushes and pulls wait, and none fails, while the leader %s', async (_, fault) => {
  const cluster = await startStandInCluster()
  const server = await startVarve({ env: { VARVE_LOG: cluster.url } })
  const { call, pushImage } = registryClient(server)
  const { digest } = await pushImage('team/app', '1', Buffer.from('a layer'))
  const answers: { readonly what: 'push' | 'pull'; readonly status: number; readonly ms: number }[] = []
  const pulled: string[] = []
  let stopped = false

  async function timed(what: 'push' | 'pull', work: () => Promise<number>): Promise<void> {
    const began = performance.now()
    const status = await work()
    answers.push({ what, status, ms: performance.now() - began })
  }
  const pull = async (): Promise<number> => {
    const answer = await call('GET', `/v2/team/app/manifests/${digest}`)
    const id = answer.headers.get('x-request-id') ?? ''
    await answer.arrayBuffer()
    if (answer.status === 200) pulled.push(id)
    return answer.status
  }
  const push = async (): Promise<number> =>
    pushImage('team/app', randomUUID(), Buffer.from(randomUUID())).then(
      () => 201,
      () => 0,
    )
  const clients = Array.from({ length: 12 }, async (__, index) => {
    while (!stopped) await (index < 4 ? timed('push', push) : timed('pull', pull))
  })
  await sleep(1_000)
  await fault(await cluster.leader())
  await sleep(3_000)
  stopped = true
  await Promise.all(clients)

  expect(answers.filter(({ status }) => status !== 200 && status !== 201)).toEqual([])
  // A push of an image is three requests, one after the other; test/faults times each of them.
  expect(Math.max(...answers.filter(({ what }) => what === 'pull').map(({ ms }) => ms))).toBeLessThan(PATIENCE_MS)
  expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(2 * PATIENCE_MS)
  const audit = await server.varve('audit', '--action', 'pull', '--json')
  expect(audit.code).toBe(0)
  const recorded = new Set(audit.stdout.match(/(?<="requestId":")[0-9a-f-]+/g))
  expect(pulled.filter((id) => !recorded.has(id))).toEqual([])
  expect(pulled.length).toBeGreaterThan(50)
  expect(await server.varve('rebuild', '--verify')).toMatchObject({ code: 0 })
  await server.stop()
  await cluster.stop()
}, 180_000)
