import { expect, it } from '@jest/globals'
import { createCodec } from '../../../../src/commands/codec.ts'
import { eventTypes } from '../../../../src/commands/event-types.ts'
import { LogAwayError } from '../../../../src/ports/event-log.ts'
import { openEventStoreLog } from '../../../../src/storage/events/eventstoredb/log.ts'
import { findLeader } from '../../../../src/storage/events/eventstoredb/nodes.ts'
import { NoNodeError } from '../../../../src/storage/events/eventstoredb/verdict.ts'
import { one } from '../../../support/certificates.ts'
import { startStandIn, startStandInCluster } from '../../../support/eventstoredb.ts'
import { freePort } from '../../../support/server.ts'
import { temporaryFiles } from '../../../support/files.ts'
import { refuseUnhandled } from '../../../support/rejections.ts'
import { newSpace } from '../../../support/spaces.ts'
import { appended, nameLog, newActivity, started } from './followed.ts'

const file = temporaryFiles()
refuseUnhandled()

function open(ports: readonly number[], { discover = false, address = '127.0.0.1', tls }: { discover?: boolean; address?: string; tls?: { ca: Buffer } } = {}) {
  const retries: string[] = []
  const nodes = ports.map((port) => ({ address, port }))
  const user = tls && { name: 'admin', password: 'changeit' }
  const opening = openEventStoreLog({ nodes, discover, user, tls, space: newSpace() }, createCodec(eventTypes), {
    committed: () => undefined,
    retried: ({ what, reason }) => retries.push(`${what}: ${reason}`),
    alarmed: () => undefined,
  })
  return { opening, retries }
}

it('says that the log gives no answer where no node does, after as long as a request waits', async () => {
  const { opening, retries } = open([await freePort(), await freePort()])
  const began = performance.now()
  await expect(opening).rejects.toThrow(LogAwayError)
  expect(performance.now() - began).toBeGreaterThan(9_000)
  expect(new Set(retries)).toEqual(new Set(['read: no node']))
}, 40_000)

it.each([false, true])('asks the nodes that there are who leads (one name for all: %s)', async (discover) => {
  const server = await startStandIn()
  const { opening } = open(discover ? [server.port] : [await freePort(), server.port, await freePort()], { discover })
  const log = await opening
  await nameLog(log)
  const stream = newActivity()
  await appended(log, stream, -1, [started()])
  expect(log.leader()).toBe(`127.0.0.1:${server.port}`)
  await log.close()
  await server.stop()
})

it('goes back to a leader that has just failed only where that says itself that it leads', async () => {
  const cluster = await startStandInCluster()
  const leader = await cluster.leader()
  const nodes = cluster.nodes.map(({ port }) => ({ address: '127.0.0.1', port }))
  const others = nodes.filter(({ port }) => port !== leader.port)
  const failed = `127.0.0.1:${leader.port}`
  expect(await findLeader(nodes, undefined, failed)).toBe(failed)
  leader.signal('SIGSTOP')
  expect(await findLeader(nodes, undefined, undefined)).toBe(failed)
  await expect(findLeader(nodes, undefined, failed)).rejects.toThrow(NoNodeError)
  leader.signal('SIGCONT')
  expect(await findLeader(others, undefined, failed)).toBe(failed)
  await cluster.stop()
}, 60_000)

it.each(['localhost', '127.0.0.1'])('reaches nodes over TLS, and those that a node names by address, where they are called %s', async (address) => {
  const [certificate, key] = [file('cert.pem', one.cert), file('key.pem', one.key)]
  const server = await startStandIn(['--tls-cert', certificate, '--tls-key', key])
  const tls = { ca: Buffer.from(one.cert) }
  for (const ports of [[server.port], [await freePort(), server.port]]) {
    const log = await open(ports, { address, tls }).opening
    await nameLog(log)
    expect(await log.head()).toBeDefined()
    await log.close()
  }
  await server.stop()
  // The certificate, which is for 127.0.0.1, is held against the address.
  const everywhere = await startStandIn(['--host', '0.0.0.0', '--tls-cert', certificate, '--tls-key', key])
  const { opening } = open([everywhere.port], { address: '127.0.0.2', tls })
  await expect(opening).rejects.toMatchObject({ cause: { message: expect.stringContaining('127.0.0.2 is not in the cert') } })
  await everywhere.stop()
}, 60_000)
