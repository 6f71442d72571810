import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Client } from 'pg'
import { askingAs } from '../support/asking.ts'
import { testDatabase } from '../support/postgres.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import type { Statement } from '../support/postgres-proxy.ts'
import { registryClient, sha256 } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

/*
 * What one request asks of Postgres. These figures are what the speed of a pull and of a push rests on; they do not move with the
 * machine. A change that needs one more statement says so here.
 */

let database: Awaited<ReturnType<typeof testDatabase>>
let proxy: Awaited<ReturnType<typeof startPostgresProxy>>
let server: VarveServer
let client: ReturnType<typeof registryClient>
let log: Client

const pull = async (): Promise<void> => {
  const answer = await client.call('GET', '/v2/p/app/manifests/v1')
  if (answer.status !== 200) throw new Error(`status ${answer.status}`)
  await answer.arrayBuffer()
}

/** Waits until the read models have caught up, so that they are not counted with what comes next. */
async function quiet(): Promise<void> {
  await sleep(1_000)
  proxy.take()
}

const by = (name: string, statements: readonly Statement[]): string[] => statements.filter((each) => each.client === name).map(({ text }) => text)
/** Without the read models' version, and with white space that does not count. */
const plain = (text: string): string => text.replace(/rm_\d+/g, 'rm').replace(/\s+/g, ' ').slice(0, 60)

const count = async (sql: string): Promise<number> => Number((await log.query<{ n: string }>(sql)).rows[0]?.n)
const pullEvents = (): Promise<number> => count(`select count(*) as n from varve_log.activity where body like '%"type":"PullsRecorded"%'`)
const stateEvents = (): Promise<number> => count('select count(*) as n from varve_log.state')

// In a block of its own: what it started ends before the Postgres of the file does.
describe('what is asked of Postgres', () => {
  beforeAll(async () => {
    database = await testDatabase()
    proxy = await startPostgresProxy(database.connection)
    server = await startVarve({ env: { VARVE_POSTGRES_URL: proxy.url } })
    client = registryClient(server)
    log = new Client(database.connection)
    await log.connect()
    await client.pushImage('p/app', 'v1', Buffer.from('layer'))
    await pull()
    await quiet()
  })

  afterAll(async () => {
    await server.stop()
    await log.end()
    proxy.stop()
    await database.drop()
  })

  describe('a pull', () => {
    test('is one statement, whatever is asked again', async () => {
      for (let index = 0; index < 30; index += 1) await pull()
      const statements = proxy.take()
      expect(by('varve log writer', statements)).toEqual(Array.from({ length: 30 }, () => 'append_activity'))
      expect(by('varve requests', statements)).toEqual([])
    })

    test('takes less than 2 kB of the write-ahead log, its index and all', async () => {
      const bytes: number[] = []
      for (let round = 0; round < 5; round += 1) {
        const before = await count("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as n")
        for (let index = 0; index < 20; index += 1) await pull()
        bytes.push(((await count("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as n")) - before) / 20)
      }
      // What a checkpoint of Postgres or the folding of the trail adds falls into some of the rounds only.
      expect(Math.min(...bytes)).toBeLessThan(2_000)
      expect(Math.min(...bytes)).toBeGreaterThan(500)
    })

    test('and all that wait with it behind a stopped commit are one event in one statement', async () => {
      await quiet()
      const before = await pullEvents()
      proxy.hold()
      const first = pull()
      await sleep(200)
      const others = Array.from({ length: 150 }, pull)
      await sleep(1_500)
      proxy.release()
      await Promise.all([first, ...others])
      expect(by('varve log writer', proxy.take())).toEqual(['append_activity', 'append_activity'])
      expect((await pullEvents()) - before).toBe(2)
    })
  })

  describe('a project', () => {
    const metadata = { public: 'true', auto_scan: 'false', severity: 'low' }

    test('is made by one event, whatever is said of it', async () => {
      await quiet()
      const before = await stateEvents()
      await askingAs(server).make('/projects', { project_name: 'made', metadata })
      expect(by('varve log writer', proxy.take())).toEqual(['append'])
      expect((await stateEvents()) - before).toBe(1)
    })

    test('is changed by one append', async () => {
      await quiet()
      const before = await stateEvents()
      expect(await askingAs(server).asked('PUT', '/projects/made', { metadata: { ...metadata, public: 'false', severity: 'high' } })).toBe('200')
      expect(by('varve log writer', proxy.take())).toEqual(['append'])
      expect((await stateEvents()) - before).toBe(2)
    })
  })

  describe('a push', () => {
    test('of a layer in two requests: its session twice, and one append', async () => {
      await quiet()
      const before = await stateEvents()
      const layer = randomBytes(100_000)
      const begun = await client.call('POST', '/v2/p/app/blobs/uploads/')
      const ended = await client.call('PUT', `${begun.headers.get('location') ?? ''}?digest=${sha256(layer)}`, { body: layer })
      expect(ended.status).toBe(201)
      const statements = proxy.take()
      expect(by('varve requests', statements)).toEqual(['create upload', 'remove upload'])
      expect(by('varve log writer', statements)).toEqual(['append'])
      expect((await stateEvents()) - before).toBe(1)
    })

    test('of a manifest: one reading of rows, one of the stream, and one append', async () => {
      const image = await client.pushImage('p/app', 'v2', randomBytes(1_000))
      await quiet()
      const before = await stateEvents()
      const answer = await client.call('PUT', '/v2/p/app/manifests/v3', {
        body: new Uint8Array(image.bytes),
        headers: { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' },
      })
      expect(answer.status).toBe(201)
      const statements = proxy.take()
      expect(by('varve requests', statements).map(plain)).toEqual(['rm decision'])
      expect(by('varve log reader', statements).filter((text) => text === 'stream of state')).toHaveLength(1)
      expect(by('varve log writer', statements)).toEqual(['append'])
      // ManifestPushed, and the tag that moved.
      expect((await stateEvents()) - before).toBe(2)
    })

    test('is folded into the catalogue by one transaction of few statements', async () => {
      await quiet()
      await client.pushManifest('p/app', 'v4', JSON.parse(Buffer.from((await (await client.call('GET', '/v2/p/app/manifests/v1')).arrayBuffer())).toString()) as object)
      // The trail is folded beside it, on another connection, in a transaction that begins in other words.
      const statements = proxy.take()
      const begun = statements.find(({ client, text }) => client === 'varve' && text === 'begin')
      const folding = statements.filter(({ connection }) => connection === begun?.connection).map(({ text }) => plain(text))
      const transaction = folding.slice(folding.indexOf('begin'), folding.indexOf('commit', folding.indexOf('begin')) + 1)
      expect(transaction.length).toBeGreaterThan(3)
      expect(transaction.length).toBeLessThanOrEqual(8)
    })
  })
})
