import { expect, it } from '@jest/globals'
import { startStandIn } from '../../../support/eventstoredb.ts'
import type { StandIn } from '../../../support/eventstoredb.ts'
import { refuseUnhandled } from '../../../support/rejections.ts'
import { newSpace } from '../../../support/spaces.ts'
import { until } from '../contract.ts'
import { follow, nameLog } from './followed.ts'
import { openLog } from './opened.ts'
import { write } from './writers.ts'

refuseUnhandled()

it.each<[string, (server: StandIn) => Promise<void>, readonly string[]]>([
  ['killed and started again', (server) => server.endFor('SIGKILL', 500), ['unavailable']],
  ['ended in order and started again', (server) => server.endFor('SIGTERM', 500), ['unavailable', 'ended']],
  // By then the connection was given up for want of a ping's answer, or an append was; and the next client's appends certainly.
  ['frozen for 8 s', (server) => server.freezeFor(8_000), ['no answer']],
])('a server that is %s under 16 writers loses nothing that was acknowledged, and gives each event once', async (_, fault, reasons) => {
  const server = await startStandIn()
  const space = newSpace()
  const opened = await openLog(server, space)
  const { log } = opened
  await nameLog(log)
  const followed = follow(log, ['state', 'activity'], 'start')
  const writing = write(log)
  await until(() => writing.acknowledged.length > 200)
  await fault(server)
  const before = writing.acknowledged.length
  await until(() => writing.acknowledged.length > before + 200, 30_000)
  await writing.stop()
  const head = await log.head()
  await until(() => followed.marker() === head)
  await followed.stop()

  const stored = server.stored().flatMap(({ stream, id }) => (stream.startsWith(`${space}.a.`) ? [id] : []))
  expect(new Set(stored).size).toBe(stored.length)
  expect(new Set(stored)).toEqual(new Set(writing.acknowledged))
  expect(followed.ids().slice(1)).toEqual(stored)
  expect([...opened.reasons]).toEqual(expect.arrayContaining([...reasons]))
  expect(opened.alarms).toEqual([])
  await log.close()
  await server.stop()
}, 60_000)
