import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { whilePostgresStopped } from '../support/postgres-processes.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import { openRaw } from '../support/wire.ts'

async function frozen<T>(dataFolder: string, ms: number, meanwhile: () => Promise<T>): Promise<T> {
  const { answers } = await whilePostgresStopped(dataFolder, async () => {
    const answers = meanwhile()
    await sleep(ms)
    return { answers }
  })
  return answers
}

it('waits for a log that is away, serves nothing unrecorded, and says 503 after 10 s', async () => {
  const server = await startVarve()
  const { call, pushImage, pushBlob } = registryClient(server)
  const { digest } = await pushImage('pause/app', '1', Buffer.from('layer'))
  const known = `/v2/pause/app/manifests/${digest}`
  expect((await call('GET', known)).status).toBe(200)

  const short = await frozen(server.dataFolder, 2_000, async () => {
    const began = performance.now()
    const answers = await Promise.all([call('GET', known), call('GET', '/v2/pause/app/manifests/1'), pushBlob('pause/app', Buffer.from('pushed meanwhile'))])
    return { answers, tookMs: performance.now() - began }
  })
  expect(short.answers.slice(0, 2).map((answer) => (typeof answer === 'string' ? answer : answer.status))).toEqual([200, 200])
  expect(short.tookMs).toBeGreaterThan(1_900)

  const long = await frozen(server.dataFolder, 13_000, () =>
    Promise.all([
      call('GET', known),
      call('HEAD', '/v2/pause/app/manifests/never-asked'),
      call('PUT', '/v2/pause/app/manifests/2', { body: '{}' }),
      call('DELETE', known),
      call('POST', '/v2/pause/app/blobs/uploads/'),
    ]),
  )
  expect(long.map((answer) => answer.status)).toEqual([503, 503, 400, 503, 503])
  for (const answer of long.filter(({ status }) => status === 503)) expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(await long[0].json()).toMatchObject({ errors: [{ code: 'UNAVAILABLE' }] })

  // Afterwards it is as if nothing had been; the deletion whose outcome was unknown has happened, or not.
  await sleep(1_000)
  expect([200, 404]).toContain((await call('GET', known)).status)
  await pushImage('pause/app', '3', Buffer.from('another layer'))
  expect((await call('GET', '/v2/pause/app/manifests/3')).status).toBe(200)
  expect((await server.varve('rebuild', '--verify')).code).toBe(0)
}, 120_000)

it('a client that leaves while its request waits is not taken for a log that is away', async () => {
  const server = await startVarve()
  const { call } = registryClient(server)
  const location = (await call('POST', '/v2/pause/app/blobs/uploads/')).headers.get('location') ?? ''
  await frozen(server.dataFolder, 1_000, async () => {
    const raw = openRaw(server)
    // Its body has come whole, and is read only once Postgres has told of the upload.
    raw.send(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nAuthorization: ${server.authorization}\r\nContent-Length: 3\r\n\r\nabc`)
    await sleep(300)
    raw.socket.resetAndDestroy()
  })
  await sleep(500)
  expect((await call('GET', location)).status).toBe(204)
  expect(server.output()).not.toMatch(/"level":"(warn|error)"/)
}, 60_000)
