import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { startStandInCluster } from '../../../support/eventstoredb.ts'
import type { StandIn, StandInCluster } from '../../../support/eventstoredb.ts'
import { newSpace } from '../../../support/spaces.ts'
import { describeEventLog, until } from '../contract.ts'
import { follow, nameLog } from './followed.ts'
import { openLog } from './opened.ts'
import { write } from './writers.ts'

describeEventLog('a cluster of EventStoreDB', async () => {
  const cluster = await startStandInCluster()
  const space = newSpace()
  const { log } = await openLog(cluster, space)
  return {
    log,
    // Another process that is told of one node only, which need not lead.
    second: async () => (await openLog(await followerOf(cluster), space)).log,
    async end() {
      await log.close()
      await cluster.stop()
    },
  }
})

async function followerOf(cluster: StandInCluster): Promise<StandIn> {
  const leader = await cluster.leader()
  const follower = cluster.nodes.find((node) => node !== leader)
  if (follower === undefined) throw new Error('a cluster has followers')
  return follower
}

it.each<[string, (leader: StandIn) => Promise<void>]>([
  [
    'killed',
    async (leader) => {
      await leader.kill('SIGKILL')
      await sleep(5_000)
      await leader.restart()
    },
  ],
  [
    'ended in order',
    async (leader) => {
      await leader.kill('SIGTERM')
      await sleep(5_000)
      await leader.restart()
    },
  ],
  [
    'frozen for 20 s',
    async (leader) => {
      leader.signal('SIGSTOP')
      await sleep(20_000)
      leader.signal('SIGCONT')
    },
  ],
  ['made to resign', (leader) => leader.act({ kind: 'resign' })],
])('goes on with another node within 10 s when the leader is %s, loses nothing and gives each event once', async (_, fault) => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => {
    unhandled.push(error)
  }
  process.on('unhandledRejection', note)
  const cluster = await startStandInCluster()
  const space = newSpace()
  const opened = await openLog(cluster, space)
  const { log } = opened
  await nameLog(log)
  const followed = [follow(log, ['state'], 'start'), follow(log, ['state', 'activity'], 'start')]
  const writing = write(log)
  await until(() => writing.acknowledged.length > 200)
  const leader = await cluster.leader()
  expect(log.leader()).toBe(`127.0.0.1:${leader.port}`)
  await fault(leader)
  const before = writing.acknowledged.length
  await until(() => writing.acknowledged.length > before + 200, 30_000)
  await writing.stop()
  expect(writing.longestMs()).toBeLessThan(10_000)
  const next = await cluster.leader()
  expect(log.leader()).toBe(`127.0.0.1:${next.port}`)
  const head = await log.head()
  await until(() => followed.every((each) => each.marker() === head))
  for (const each of followed) await each.stop()

  const stored = cluster.stored().flatMap(({ stream, id }) => (stream.startsWith(`${space}.`) ? [id] : []))
  expect(new Set(stored).size).toBe(stored.length)
  expect(new Set(stored.slice(1))).toEqual(new Set(writing.acknowledged))
  expect(followed.map((each) => each.ids())).toEqual([stored.slice(0, 1), stored])
  expect(opened.alarms).toEqual([])
  await log.close()
  await cluster.stop()
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
}, 120_000)
