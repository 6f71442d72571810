import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { PULL, bearer, fetchToken, makeProject, makeRobot } from '../support/doors.ts'
import { testDatabase } from '../support/postgres.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

/*
 * What logging in and a token on every request ask of Postgres and of the processor, counted.
 */

const ROBOTS = 500
const PATH = '/v2/team/app/manifests/v1'
const SCOPE = 'repository:team/app:pull'

let database: Awaited<ReturnType<typeof testDatabase>>
let proxy: Awaited<ReturnType<typeof startPostgresProxy>>
let server: VarveServer
let robots: string[]

/** What requests asked since the last call. */
const asked = (): string[] => proxy.take().filter(({ client }) => client === 'varve requests').map(({ text }) => text)

async function pull(authorization: string | undefined): Promise<void> {
  const answer = await fetch(`${server.url}${PATH}`, { headers: authorization === undefined ? {} : { Authorization: authorization } })
  await answer.arrayBuffer()
  if (answer.status !== 200) throw new Error(`status ${answer.status}`)
}

async function fetchAll(): Promise<number[]> {
  return (await Promise.all(robots.map((robot) => fetchToken(server, robot, [SCOPE])))).map(({ status }) => status)
}

// In a block of its own: what it started ends before the Postgres of the file does.
describe('who asks', () => {
  beforeAll(async () => {
    database = await testDatabase()
    proxy = await startPostgresProxy(database.connection)
    server = await startVarve({ env: { VARVE_POSTGRES_URL: proxy.url } })
    await makeProject(server, 'team', 'private')
    await registryClient(server).pushImage('team/app', 'v1', Buffer.from('layer'))
    robots = []
    for (let index = 0; index < ROBOTS; index += 1) robots.push((await makeRobot(server, 'team', `r${index}`, PULL)).authorization)
    // The read models have caught up, so that they are not counted with what comes next.
    await sleep(1_000)
  }, 180_000)

  afterAll(async () => {
    await server.stop()
    proxy.stop()
    await database.drop()
  })

  test('is asked of nobody for a token, a name and secret, or nobody, that came before', async () => {
    const token = await bearer(server, robots[0], SCOPE)
    for (const who of [token, robots[1]]) {
      await pull(who)
      asked()
      for (let index = 0; index < 30; index += 1) await pull(who)
      expect(asked()).toEqual([])
    }
  })

  test('of 500 robots that fetch a token at once, is two statements each the first time, and none after', async () => {
    await server.restart()
    asked()
    // An argon2 for each would let in no more than a hundred and a few, and tell the rest to wait.
    expect(new Set(await fetchAll())).toEqual(new Set([200]))
    const first = asked()
    expect(first.filter((text) => text.includes('robot')).length).toBe(2 * ROBOTS)
    expect(first.length).toBeLessThan(2 * ROBOTS + 20)
    expect(new Set(await fetchAll())).toEqual(new Set([200]))
    expect(asked()).toEqual([])
  })
})
