import { setTimeout as sleep } from 'node:timers/promises'
import eventstore from '@eventstore/db-client'
import type { EventStoreDBClient } from '@eventstore/db-client'
import { expect, it } from '@jest/globals'
import { startStandInCluster } from '../support/eventstoredb.ts'
import type { StandIn, StandInCluster } from '../support/eventstoredb.ts'
import { until } from '../support/until.ts'
import { APPEND_CALLS, appendBy, connect, idsOf, insist, newEvent, watch } from './client.ts'

const { BACKWARDS, END, NO_STREAM } = eventstore

const WRITERS = 16
/** How long an append may be without an answer before a writer takes a new client. */
const PATIENCE_MS = 3000

/** Of all nodes but one. */
const others = (cluster: StandInCluster, one: StandIn): StandIn[] => cluster.nodes.filter((node) => node !== one)

/** What the nodes say they are: one that looks for its leader says `unknown`. */
const statesOf = (nodes: readonly StandIn[]): Promise<string[]> => Promise.all(nodes.map(async (node) => (await node.status()).state))

async function lastPosition(client: EventStoreDBClient): Promise<bigint | undefined> {
  const last = { direction: BACKWARDS, fromPosition: END, maxCount: 1, requiresLeader: true } as const
  for await (const { event } of client.readAll(last)) return event?.position.commit
  return undefined
}

/** Writers that append at explicit revisions, and repeat an append with its id, with a new client each time, until it is acknowledged. */
function startWriters(cluster: StandInCluster) {
  const acknowledged: string[] = []
  const stopping = new AbortController()
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    let client = connect(cluster.url)
    for (let revision = -1n; !stopping.signal.aborted; revision += 1n) {
      const event = newEvent({ writer })
      const options = { expected: revision === -1n ? NO_STREAM : revision, deadlineMs: PATIENCE_MS } as const
      await insist(async () => {
        try {
          await appendBy('the older call', client, `writer-${writer}`, event, options)
        } catch (error) {
          client = connect(cluster.url)
          throw error
        }
      }, 60_000)
      acknowledged.push(`${writer}/${event.id}`)
      await sleep(5)
    }
  })
  return {
    acknowledged,
    /** Resolves when so many more were acknowledged. */
    more: (count: number) => {
      const before = acknowledged.length
      return until(() => acknowledged.length >= before + count, `${count} more appends`)
    },
    async stop() {
      stopping.abort()
      await Promise.all(writers)
    },
  }
}

/** What became of the streams of the writers, by who asks the cluster and by who reads its files. */
async function expectAllThere(cluster: StandInCluster, acknowledged: readonly string[]): Promise<void> {
  const client = connect(cluster.url)
  const streams = await Promise.all(Array.from({ length: WRITERS }, (_, writer) => idsOf(client, `writer-${writer}`)))
  const read = streams.flatMap((ids, writer) => ids.map((id) => `${writer}/${id}`))
  expect([...read].sort()).toEqual([...acknowledged].sort())
  const stored = cluster.stored().filter(({ stream }) => stream.startsWith('writer-'))
  expect(stored.map(({ stream, id }) => `${stream.slice('writer-'.length)}/${id}`).sort()).toEqual([...acknowledged].sort())
}

it('has one leader, and followers that hand appends on and say who leads', async () => {
  const cluster = await startStandInCluster()
  const leader = await cluster.leader()
  await until(async () => (await statesOf(cluster.nodes)).sort().join() === 'follower,follower,leader', 'a leader and two followers')
  for (const [index, follower] of others(cluster, leader).entries()) {
    const bound = connect(follower.url)
    for (const call of APPEND_CALLS) {
      const event = newEvent()
      const stream = `through-${index}-${call}`
      expect(await appendBy(call, bound, stream, event, { expected: NO_STREAM })).toMatchObject({ success: true, nextExpectedRevision: 0n })
      const wrong = { type: 'wrong-expected-version', actualVersion: 0n }
      await expect(appendBy(call, bound, stream, newEvent(), { expected: NO_STREAM })).rejects.toMatchObject(wrong)
      // A repeat is a repeat whoever hands it on.
      expect(await appendBy(call, bound, stream, event, { expected: NO_STREAM })).toMatchObject({ nextExpectedRevision: 0n })
      await until(async () => (await idsOf(bound, stream).catch(() => [])).length === 1, 'the event at the follower')
    }
    const elsewhere = { type: 'not-leader', leader: { address: '127.0.0.1', port: leader.port } }
    await expect(lastPosition(connect(follower.url, '&keepAliveInterval=20000'))).rejects.toMatchObject(elsewhere)
    const toLeader = { requiresLeader: true, credentials: { username: 'a', password: 'b' } }
    await expect(bound.appendToStream('a', newEvent(), toLeader)).rejects.toMatchObject(elsewhere)
    // After that answer the client goes to the leader.
    expect(await lastPosition(bound)).toBe(cluster.stored().at(-1)?.position)
  }
})

it.each(['SIGKILL', 'SIGTERM'] as const)('is led by another node after a %s to the leader, and loses nothing', async (signal) => {
  const cluster = await startStandInCluster()
  const old = await cluster.leader()
  const [follower] = others(cluster, old)
  const seen = watch(connect(follower?.url ?? '').subscribeToAll({ fromPosition: END }))
  await seen.saw('caughtUp')
  const writers = startWriters(cluster)
  await writers.more(200)
  await old.kill(signal)
  const next = await cluster.leader()
  expect(next).not.toBe(old)
  await writers.more(200)
  await old.restart()
  await until(async () => (await old.status()).state === 'follower', 'the old leader as a follower')
  await writers.more(200)
  await writers.stop()
  await expectAllThere(cluster, writers.acknowledged)
  // A subscription on a follower goes on, and shows each event once and in order.
  const mine = cluster.stored().filter(({ stream }) => stream.startsWith('writer-'))
  await until(() => seen.ids.length >= mine.length, 'all events at the follower')
  const ids = mine.map(({ id }) => id)
  expect(seen.ids.filter((id) => ids.includes(id))).toEqual(ids)
  expect(seen.signals).toEqual(['confirmation', 'caughtUp'])
})

it('is led by another node while the leader is frozen, which ends itself with 0 when it wakes, and loses nothing', async () => {
  const cluster = await startStandInCluster()
  const old = await cluster.leader()
  const writers = startWriters(cluster)
  await writers.more(200)
  const pid = old.pid
  old.signal('SIGSTOP')
  await writers.more(200)
  await until(async () => (await statesOf(others(cluster, old))).includes('leader'), 'another leader')
  old.signal('SIGCONT')
  const follows = async (): Promise<boolean> => old.pid !== pid && (await old.status().catch(() => undefined))?.state === 'follower'
  await until(follows, 'the old leader as a follower')
  await writers.more(200)
  await writers.stop()
  await expectAllThere(cluster, writers.acknowledged)
})

it('moves its leadership when the leader resigns, and loses nothing', async () => {
  const cluster = await startStandInCluster()
  const writers = startWriters(cluster)
  await writers.more(100)
  for (let round = 0; round < 3; round += 1) {
    const old = await cluster.leader()
    await old.act({ kind: 'resign' })
    await until(async () => (await cluster.leader()) !== old, 'another leader')
    await writers.more(100)
    expect(old.alive()).toBe(true)
    await until(async () => (await old.status()).state === 'follower', 'the old leader as a follower')
  }
  await writers.stop()
  await expectAllThere(cluster, writers.acknowledged)
})
