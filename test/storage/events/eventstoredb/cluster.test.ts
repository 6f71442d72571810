import { expect, it } from '@jest/globals'
import { startStandInCluster } from '../../../support/eventstoredb.ts'
import type { StandIn, StandInCluster } from '../../../support/eventstoredb.ts'
import { refuseUnhandled } from '../../../support/rejections.ts'
import { newSpace } from '../../../support/spaces.ts'
import { describeEventLog, until } from '../contract.ts'
import { appended, follow, nameLog, newActivity, started } from './followed.ts'
import { openLog } from './opened.ts'
import { write } from './writers.ts'

refuseUnhandled()

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

it('asks a leader that gives no answer once, and then the nodes, until another leads', async () => {
  const cluster = await startStandInCluster()
  const { log, retries } = await openLog(cluster)
  await nameLog(log)
  const leader = await cluster.leader()
  leader.signal('SIGSTOP')
  await appended(log, newActivity(), -1, [started()])
  expect(retries.filter((retry) => /^append: (no answer|unavailable)$/.test(retry))).toHaveLength(1)
  expect(retries.filter((retry) => retry === 'append: no node').length).toBeGreaterThan(1)
  leader.signal('SIGCONT')
  await log.close()
  await cluster.stop()
}, 60_000)

it.each<[string, (leader: StandIn) => Promise<void>]>([
  ['killed', (leader) => leader.endFor('SIGKILL', 5_000)],
  ['ended in order', (leader) => leader.endFor('SIGTERM', 5_000)],
  ['frozen for 20 s', (leader) => leader.freezeFor(20_000)],
  ['made to resign', (leader) => leader.act({ kind: 'resign' })],
])('goes on with another node within 10 s when the leader is %s, loses nothing and gives each event once', async (_, fault) => {
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
}, 120_000)
