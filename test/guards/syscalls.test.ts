import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { testDatabase } from '../support/postgres.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import { describeWithStrace, parseTrace } from '../support/strace.ts'
import type { Call } from '../support/strace.ts'

const MIB = 1024 * 1024
const TRACED = 'trace=fsync,fdatasync,pread64,preadv,write,writev,sendto,sendmsg'

/* What one push and one pull ask of the kernel, beside Postgres: figures that do not move with the machine. */
describeWithStrace('what is asked of the kernel (strace)', () => {
  it('is two syncs for each thing that is stored, one read for each block of a cold layer, none for a hot one, and few writes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'varve-strace-'))
    const file = join(folder, 'trace')
    const database = await testDatabase()
    const { host, port, user, database: name } = database.connection
    const server = await startVarve({
      wrapper: ['strace', '-D', '-f', '-yy', '-s', '40', '-e', TRACED, '-o', file],
      env: { UV_USE_IO_URING: '0', VARVE_POSTGRES_URL: `postgres://${user}@${encodeURIComponent(host)}:${port}/${name}` },
    })
    const client = registryClient(server)
    const calls = (): Call[] => parseTrace(readFileSync(file, 'utf8'))
    /** The calls of what is done, and of nothing before. */
    const during = async (work: () => Promise<unknown>): Promise<Call[]> => {
      await sleep(300)
      const before = calls().at(-1)?.began ?? 0
      await work()
      await sleep(300)
      return calls().filter(({ began }) => began > before)
    }
    const syncs = (of: readonly Call[], what: RegExp): Call[] => of.filter((each) => /^f(data)?sync$/.test(each.name) && what.test(each.text))
    const reads = (of: readonly Call[]): Call[] => of.filter((each) => each.name.startsWith('pread') && each.text.includes('/blobs/sha256/'))
    const writes = (of: readonly Call[]): Call[] => of.filter((each) => /^(write|writev|sendto|sendmsg)\(\d+<TCP:/.test(each.text))

    await client.pushImage('p/app', 'first', Buffer.from('layer'))
    for (const tag of ['a', 'b']) {
      const pushed = await during(() => client.pushImage('p/app', tag, randomBytes(100_000)))
      // A config, a layer and a manifest.
      expect(syncs(pushed, /\/uploads\//)).toHaveLength(3)
      expect(syncs(pushed, /\/blobs\/sha256\/[0-9a-f]{2}>/)).toHaveLength(3)
      expect(syncs(pushed, /./)).toHaveLength(6)
    }

    const layer = randomBytes(8 * MIB)
    const digest = await client.pushBlob('p/app', layer)
    const get = async (): Promise<void> => {
      const bytes = Buffer.from(await (await client.call('GET', `/v2/p/app/blobs/${digest}`)).arrayBuffer())
      expect(bytes.equals(layer)).toBe(true)
    }
    const cold = await during(() => Promise.all(Array.from({ length: 10 }, get)))
    expect(reads(cold)).toHaveLength(8 * 4)
    const hot = await during(get)
    expect(reads(hot)).toEqual([])
    // One a block, more where the client's buffers were full.
    expect(writes(hot).length).toBeGreaterThanOrEqual(8 * 4)
    expect(writes(hot).length).toBeLessThan(8 * 32)

    await client.call('GET', '/v2/p/app/manifests/a')
    const manifest = await during(async () => (await client.call('GET', '/v2/p/app/manifests/a')).arrayBuffer())
    expect(writes(manifest)).toHaveLength(1)
    expect(reads(manifest)).toEqual([])
    await server.stop()
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  }, 240_000)
})
