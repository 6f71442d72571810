import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { startStandIn } from '../../../support/eventstoredb.ts'
import type { StandIn } from '../../../support/eventstoredb.ts'
import { newSpace } from '../../../support/spaces.ts'
import { until } from '../contract.ts'
import { follow, nameLog } from './followed.ts'
import { openLog } from './opened.ts'
import { write } from './writers.ts'

it.each<[string, (server: StandIn) => Promise<void>, readonly string[]]>([
  [
    'killed and started again',
    async (server) => {
      await server.kill('SIGKILL')
      await sleep(500)
      await server.restart()
    },
    ['unavailable'],
  ],
  [
    'ended in order and started again',
    async (server) => {
      await server.kill('SIGTERM')
      await sleep(500)
      await server.restart()
    },
    ['unavailable', 'ended'],
  ],
  [
    'frozen for 5 s',
    async (server) => {
      server.signal('SIGSTOP')
      await sleep(5_000)
      server.signal('SIGCONT')
    },
    ['no answer'],
  ],
])('a server that is %s under 16 writers loses nothing that was acknowledged, and gives each event once', async (_, fault, reasons) => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => {
    unhandled.push(error)
  }
  process.on('unhandledRejection', note)
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
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
}, 60_000)
