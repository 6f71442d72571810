import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createCodec } from '../../../../src/commands/codec.ts'
import { eventTypes } from '../../../../src/commands/event-types.ts'
import { LogAwayError } from '../../../../src/ports/event-log.ts'
import { openEventStoreLog } from '../../../../src/storage/events/eventstoredb/log.ts'
import { startStandIn } from '../../../support/eventstoredb.ts'
import { freePort } from '../../../support/server.ts'
import { appended, nameLog, newActivity, started } from './followed.ts'
import { newSpace } from './opened.ts'

const unhandled: unknown[] = []
const note = (error: unknown): void => {
  unhandled.push(error)
}
beforeAll(() => {
  process.on('unhandledRejection', note)
})
afterAll(() => {
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

function open(ports: readonly number[], discover = false) {
  const retries: string[] = []
  const nodes = ports.map((port) => ({ address: '127.0.0.1', port }))
  const opening = openEventStoreLog({ nodes, discover, user: undefined, tls: undefined, space: newSpace() }, createCodec(eventTypes), {
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
  const { opening } = open(discover ? [server.port] : [await freePort(), server.port, await freePort()], discover)
  const log = await opening
  await nameLog(log)
  const stream = newActivity()
  await appended(log, stream, -1, [started()])
  expect(log.leader()).toBe(`127.0.0.1:${server.port}`)
  await log.close()
  await server.stop()
})
