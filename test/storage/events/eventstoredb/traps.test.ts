import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals'
import { startPullRecorder } from '../../../../src/commands/activity/record.ts'
import type { Caller } from '../../../../src/commands/activity/batches.ts'
import type { PullsData } from '../../../../src/commands/activity/events.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { MAX_EVENT_BYTES } from '../../../../src/ports/event-log.ts'
import type { Recorded } from '../../../../src/ports/event.ts'
import { position } from '../../../../src/ports/position.ts'
import { repositoryKey } from '../../../../src/ports/streams.ts'
import { startStandIn } from '../../../support/eventstoredb.ts'
import type { StandIn } from '../../../support/eventstoredb.ts'
import { refuseUnhandled } from '../../../support/rejections.ts'
import { newSpace } from '../../../support/spaces.ts'
import { until } from '../contract.ts'
import { appended, follow, nameLog, newActivity, started } from './followed.ts'
import { newClient, openLog } from './opened.ts'
import type { OpenedLog } from './opened.ts'

let server: StandIn
let space: string
let opened: OpenedLog
refuseUnhandled()
beforeAll(async () => {
  server = await startStandIn()
})
beforeEach(async () => {
  await server.clearFaults()
  space = newSpace()
  opened = await openLog(server, space)
  await nameLog(opened.log)
})
afterAll(async () => {
  await server.stop()
})

async function all(events: AsyncIterable<Recorded>): Promise<string[]> {
  const ids: string[] = []
  for await (const { event } of events) ids.push(event.id)
  return ids
}

/** The ids that stand in a stream of the test's space, by a reader of the file. */
const storedIn = (stream: string): string[] =>
  server.stored().flatMap((each) => (each.stream === `${space}.a.${stream}` || each.stream === `${space}.s.${stream}` ? [each.id] : []))

it('never appends by BatchAppend', async () => {
  const { log } = opened
  const before = await server.status()
  await appended(log, newActivity(), -1, [started()])
  await Promise.all(Array.from({ length: 20 }, () => log.append(newActivity(), -1, [started(), started()])))
  const after = await server.status()
  expect(after.calls.append - before.calls.append).toBe(21)
  // Those of every test of this file: no client of it asked for another.
  expect(after.calls.batchAppend).toBe(0)
  await log.close()
})

it.each([true, false])('repeats an append whose answer was lost until it knows (written: %s), the same ids once', async (written) => {
  const { log, retries } = opened
  const stream = newActivity()
  await server.fault({ kind: 'lost-answer', written, calls: ['append'], times: 2 })
  const events = [started('a'), started('b')]
  const next = started('c')
  const [first, second] = await Promise.all([appended(log, stream, -1, events), appended(log, stream, 1, [next])])
  expect([first.length, second.length]).toEqual([2, 1])
  const ids = [...events, next].map(({ id }) => id)
  expect(await all(log.readStream(stream, -1))).toEqual(ids)
  expect(storedIn(stream)).toEqual(ids)
  expect(retries.filter((each) => each.startsWith('append'))).toEqual(['append: no answer', 'append: no answer'])
  await log.close()
})

it('frees an aborted caller, and goes on until the outcome is known; the next append to that stream waits behind', async () => {
  const { log } = opened
  const stream = newActivity()
  await server.fault({ kind: 'lost-answer', written: false, calls: ['append'], times: 1 })
  const [mine, next] = [started('a'), started('b')]
  await expect(log.append(stream, -1, [mine], AbortSignal.timeout(100))).rejects.toThrow()
  expect(storedIn(stream)).toEqual([])
  await appended(log, stream, 0, [next])
  expect(storedIn(stream)).toEqual([mine.id, next.id])
  await log.close()
})

it('an append that loses its connection is repeated', async () => {
  const { log, reasons } = opened
  const stream = newActivity()
  await server.fault({ kind: 'lost-answer', written: true, cut: true, calls: ['append'], times: 1 })
  const event = started()
  await appended(log, stream, -1, [event])
  expect(storedIn(stream)).toEqual([event.id])
  expect([...reasons]).toEqual(expect.arrayContaining(['unavailable']))
  await log.close()
})

it('says where a stream stands, and takes its own repeat for no conflict, also after later appends', async () => {
  const { log } = opened
  const stream = newActivity()
  const [a, b, c] = [started('a'), started('b'), started('c')]
  const first = await appended(log, stream, -1, [a, b])
  await appended(log, stream, 1, [c])
  expect(await appended(log, stream, -1, [a, b])).toEqual(first)
  expect(await log.append(stream, -1, [a, b, c, started('d')])).toEqual({ status: 'conflict', actual: 2 })
  expect(await log.append(stream, -1, [a, started('d')])).toEqual({ status: 'conflict', actual: 2 })
  expect(await log.append(stream, 7, [started('d')])).toEqual({ status: 'conflict', actual: 2 })
  expect(await log.append(newActivity(), 3, [started('d')])).toEqual({ status: 'conflict', actual: -1 })
  expect(storedIn(stream)).toEqual([a, b, c].map(({ id }) => id))
  await log.close()
})

it('a server that is not ready is waited for, by appends, reads and subscriptions', async () => {
  const { log, retries } = opened
  const stream = newActivity()
  const [head] = await appended(log, stream, -1, [started()])
  if (head === undefined) throw new Error('no position')
  // One after the other: whoever of several met it first would have the others take another client.
  await server.fault({ kind: 'not-ready', calls: ['append'], times: 2 })
  const event = started()
  await appended(log, stream, 0, [event])
  await server.fault({ kind: 'not-ready', calls: ['read'], times: 2 })
  expect(await all(log.readStream(stream, 0))).toEqual([event.id])
  await server.fault({ kind: 'not-ready', calls: ['subscribe'], times: 2 })
  const followed = follow(log, ['activity'], { after: head })
  await until(() => followed.ids().length === 1)
  await followed.stop()
  expect(new Set(retries)).toEqual(new Set(['append: unavailable', 'read: unavailable', 'subscription: unavailable']))
  await log.close()
})

it('goes to the leader that a node names, and asks again where none is known', async () => {
  const { log, retries } = opened
  const stream = newActivity()
  await server.fault({ kind: 'not-leader', calls: ['append'], times: 2 })
  await server.fault({ kind: 'not-leader', leader: { host: '127.0.0.1', port: server.port }, calls: ['append', 'read'], times: 2 })
  const event = started()
  await appended(log, stream, -1, [event])
  expect(await all(log.readStream(stream, -1))).toEqual([event.id])
  expect(retries).toEqual(expect.arrayContaining(['append: no leader', 'append: not leader']))
  expect(log.leader()).toBe(`127.0.0.1:${server.port}`)
  await log.close()
})

it('goes to another node where a node says that this one leads', async () => {
  const follower = await startStandIn()
  const there = await openLog(follower, space)
  await follower.fault({ kind: 'not-leader', leader: { host: '127.0.0.1', port: server.port }, calls: ['append', 'read'] })
  const stream = newActivity()
  const event = started()
  await appended(there.log, stream, -1, [event])
  expect(storedIn(stream)).toEqual([event.id])
  expect(follower.stored().filter(({ id }) => id === event.id)).toEqual([])
  expect(there.log.leader()).toBe(`127.0.0.1:${server.port}`)
  await there.log.close()
  await opened.log.close()
  await follower.stop()
})

it.each([
  ['an error', async () => server.act({ kind: 'drop-subscriptions', how: 'error' }), 3],
  ['a plain end', async () => server.act({ kind: 'drop-subscriptions', how: 'in-order' }), 3],
  // These meet appends too, and whoever is first has all others take another client.
  ['calls that end without a status', async () => server.act({ kind: 'reset-calls' }), 0],
  ['connections that break', async () => server.act({ kind: 'cut-connections' }), 0],
])('a subscription that is dropped by %s in the middle gives each event once and in order', async (_, drop, told) => {
  const { log, retries } = opened
  const followed = follow(log, ['activity'], 'start', () => sleep(1))
  const ids: string[] = []
  const subscribed = async (): Promise<number> => (await server.status()).calls.subscribe
  for (let round = 0; round < 6; round += 1) {
    const before = await subscribed()
    const events = Array.from({ length: 40 }, () => started())
    const appending = Promise.all(events.map((event) => appended(log, newActivity(), -1, [event])))
    if (round % 2 === 1) await drop()
    await appending
    ids.push(...events.map(({ id }) => id))
    await until(() => followed.ids().length >= ids.length)
    // Each drop was met by another subscription, of its own accord or with the client that an append had given up.
    if (round % 2 === 1) await until(async () => (await subscribed()) > before)
  }
  const head = await log.head()
  await until(() => followed.marker() === head)
  await followed.stop()
  expect(followed.ids()).toHaveLength(ids.length)
  expect(new Set(followed.ids())).toEqual(new Set(ids))
  const order = server.stored().filter(({ stream }) => stream.startsWith(`${space}.a.`)).map(({ id }) => id)
  expect(followed.ids()).toEqual(order)
  expect(retries.filter((each) => each.startsWith('subscription')).length).toBeGreaterThanOrEqual(told)
  // The three drops were told of, whoever met them.
  expect(retries.length).toBeGreaterThanOrEqual(3)
  await log.close()
})

it('goes on where it was: it is sent again nothing that it has', async () => {
  const { log } = opened
  const stream = newActivity()
  const { eventsSent: before } = await server.status()
  const sent = async (): Promise<number> => (await server.status()).eventsSent - before
  await appended(log, stream, -1, Array.from({ length: 200 }, () => started()))
  const followed = follow(log, ['activity'], 'start')
  for (let count = 200; count < 203; count += 1) {
    const head = await log.head()
    await until(() => followed.marker() === head)
    expect(followed.ids()).toHaveLength(count)
    expect(await sent()).toBe(count)
    await server.act({ kind: 'drop-subscriptions', how: 'error' })
    await appended(log, stream, count - 1, [started()])
  }
  await until(() => followed.ids().length === 203)
  await followed.stop()
  await log.close()
})

it('hands over once an event that it is sent twice', async () => {
  const { log } = opened
  const [stream, caughtUp] = [newActivity(), newActivity()]
  const { eventsSent: before } = await server.status()
  await server.fault({ kind: 'twice', calls: ['subscribe'] })
  const [old, news] = [[started('a'), started('b')], [started('c'), started('d')]]
  await appended(log, stream, -1, old)
  const followed = follow(log, ['activity'], 'start')
  await until(() => followed.ids().length === 2)
  await appended(log, caughtUp, -1, news)
  const head = await log.head()
  await until(() => followed.marker() === head)
  await followed.stop()
  expect(followed.ids()).toEqual([...old, ...news].map(({ id }) => id))
  expect((await server.status()).eventsSent - before).toBe(8)
  await log.close()
})

it('hands over no marker before the events that the client still holds, so that a crash there skips none', async () => {
  const { log } = opened
  const streams = Array.from({ length: 10 }, newActivity)
  for (const stream of streams) await appended(log, stream, -1, Array.from({ length: 20 }, () => started('x'.repeat(2_000))))
  await Promise.all(Array.from({ length: 50 }, () => log.append(`upload-${randomUUID()}`, -1, [started()]).catch(() => undefined)))
  const expected = await all(log.readAll(['activity'], 'start'))
  expect(expected).toHaveLength(200)

  // A consumer that crashes again and again goes on from its last marker, as the projections do; between them it is slow.
  const seen: string[] = []
  let marker: Parameters<typeof log.subscribe>[1] = 'start'
  for (let crashes = 0; seen.length < expected.length; crashes += 1) {
    expect(crashes).toBeLessThan(100)
    let held: string[] = []
    let handed = 0
    for await (const delivery of log.subscribe(['activity'], marker, new AbortController().signal)) {
      if (delivery.kind === 'event') held.push(delivery.recorded.event.id)
      else {
        seen.push(...held)
        held = []
        marker = { after: delivery.position }
        if (seen.length === expected.length) break
      }
      handed += 1
      if (handed % 17 === 0) await sleep(30)
      if (handed > 90) break
    }
  }
  expect(seen).toEqual(expected)
  await log.close()
})

it('a slow consumer gets each event once, and the server keeps what it does not take', async () => {
  const { log } = opened
  const followed = follow(log, ['activity'], 'start', () => sleep(2))
  const ids: string[] = []
  for (let round = 0; round < 20; round += 1) {
    const events = Array.from({ length: 50 }, () => started('y'.repeat(2_000)))
    ids.push(...events.map(({ id }) => id))
    await appended(log, newActivity(), -1, events)
  }
  // Far fewer are in this process's hands than were written.
  expect(followed.ids().length).toBeLessThan(900)
  await until(() => followed.ids().length === ids.length, 30_000)
  await followed.stop()
  expect(followed.ids()).toEqual(ids)
  await log.close()
})

it('proves the head of a quiet log, where the last events are of the other lane, of another space, or of the server', async () => {
  const { log } = opened
  const followed = follow(log, ['state'], 'start')
  await appended(log, newActivity(), -1, [started()])
  const first = await log.head()
  await until(() => followed.marker() === first)
  const other = await openLog(server)
  await nameLog(other.log)
  const foreign = await log.head()
  expect(foreign).not.toBe(first)
  await until(() => followed.marker() === foreign)
  const count = followed.deliveries.length
  await until(() => followed.deliveries.length >= count + 2)
  expect(followed.deliveries.slice(-1)).toEqual([{ kind: 'marker', position: foreign }])
  expect(await log.resolve(foreign ?? '')).toEqual({ status: 'resolved', position: foreign })
  await followed.stop()

  // One that begins behind all of them proves it, too.
  const late = follow(log, ['state'], foreign === undefined ? 'start' : { after: foreign })
  await until(() => late.marker() === foreign)
  await late.stop()
  await other.log.close()
  await log.close()
})

it('resolves the position of an event, and refuses numbers between events and beyond the end', async () => {
  const { log } = opened
  const stream = newActivity()
  const positions = await appended(log, stream, -1, [started('a'), started('b')])
  for (const given of positions) expect(await log.resolve(given)).toEqual({ status: 'resolved', position: given })
  const [name = '', number = ''] = (positions[0] ?? '').split('-')
  expect(await log.resolve(`${name}-${BigInt(number) + 1n}`)).toEqual({ status: 'refused', reason: `${name}-${BigInt(number) + 1n} is no position that the log gave` })
  expect(await log.resolve(`${name}-${10n ** 15n}`)).toMatchObject({ status: 'refused', reason: expect.stringContaining('beyond') })
  await log.close()
})

it('refuses to follow from a position that is beyond the head', async () => {
  const { log } = opened
  const followed = follow(log, ['state'], { after: position('contract', 10n ** 15n) })
  await expect(followed.stop()).rejects.toThrow('beyond the head')
  await log.close()
}, 30_000)

it('refuses an event and an append that are too large before they are sent, and takes what is just within', async () => {
  const { log } = opened
  const before = (await server.status()).calls.append
  await expect(log.append(newActivity(), -1, [started('x'.repeat(MAX_EVENT_BYTES))])).rejects.toThrow('larger')
  await expect(log.append(newActivity(), -1, Array.from({ length: 4 }, () => started('x'.repeat(250_000))))).rejects.toThrow('larger')
  expect((await server.status()).calls.append).toBe(before)
  // Each event costs the server more than its canonical text has: many small ones are the worst.
  const small = Array.from({ length: 4_150 }, () => started())
  expect(await appended(log, newActivity(), -1, small)).toHaveLength(small.length)
  await log.close()
})

it('an error on one client leaves the appends of another alone', async () => {
  const other = await openLog(server)
  await nameLog(other.log)
  await server.fault({ kind: 'delay', ms: 500, calls: ['append'], times: 20 })
  const slow = Array.from({ length: 20 }, () => opened.log.append(newActivity(), -1, [started()]))
  await sleep(100)
  await server.fault({ kind: 'lost-answer', written: false, cut: true, calls: ['append'], times: 1 })
  await appended(other.log, newActivity(), -1, [started()])
  expect(other.retries).toEqual(['append: unavailable'])
  await other.log.close()
  expect((await Promise.all(slow)).every((each) => each.status === 'appended')).toBe(true)
  expect(opened.retries).toEqual([])
  await opened.log.close()
})

it('a batch of pulls that lost its answer is repeated while newer pulls wait: none lost, none twice', async () => {
  const { log } = opened
  const boot = randomUUID()
  const recorder = await startPullRecorder({ log, boot, release: 'test', now: Date.now, maxPullsPerEvent: Infinity, timeoutMs: 10_000 })
  const caller: Caller = { kind: 'user', subject: randomUUID() }
  const pull = (requestId: string) =>
    recorder.record({ caller, repository: repositoryKey(randomUUID(), 'app'), digest: digestOf('sha256', Buffer.from('x')), requestId })
  const asked: string[] = []
  const recording: Promise<void>[] = []
  const ask = (): void => {
    asked.push(randomUUID())
    recording.push(pull(asked.at(-1) ?? ''))
  }
  await server.fault({ kind: 'lost-answer', written: true, calls: ['append'], times: 1 })
  ask()
  await sleep(20)
  for (let round = 0; round < 100; round += 1) {
    ask()
    await sleep(10)
  }
  await Promise.all(recording)
  const recorded: string[] = []
  for await (const { event } of log.readStream(`activity-${boot}`, 0)) recorded.push(...(event.data as PullsData).pulls.map(([, , , requestId]) => requestId))
  expect(recorded).toEqual(asked)
  await log.close()
})

it('a stream that is deleted, truncated or tombstoned raises an alarm, and is never taken for one that is empty', async () => {
  const { log, alarms } = opened
  const admin = newClient(server)
  const followed = follow(log, ['activity'], 'start')
  const [deleted, truncated, buried, labelled] = [newActivity(), newActivity(), newActivity(), newActivity()]
  for (const stream of [deleted, truncated, buried, labelled]) await appended(log, stream, -1, [started('a'), started('b'), started('c')])
  await admin.deleteStream(`${space}.a.${deleted}`)
  await admin.setStreamMetadata(`${space}.a.${truncated}`, { maxCount: 1 })
  await admin.tombstoneStream(`${space}.a.${buried}`)
  await admin.setStreamMetadata(`${space}.a.${labelled}`, { colour: 'green' })
  await until(() => alarms.length >= 4)
  expect(alarms.map(({ tampering, stream }) => [tampering, stream])).toEqual([
    ['deleted', deleted],
    ['truncated', truncated],
    ['tombstone', buried],
    ['metadata', labelled],
  ])

  await expect(all(log.readStream(deleted, -1))).rejects.toThrow('its events are gone')
  await expect(all(log.readStream(truncated, -1))).rejects.toThrow('its events before revision 2 are gone')
  await expect(all(log.readStream(buried, -1))).rejects.toThrow('deleted for good')
  await expect(log.append(buried, 2, [started()])).rejects.toThrow('deleted for good')
  await expect(log.append(deleted, -1, [started()])).rejects.toThrow('it was deleted before')
  expect(await all(log.readStream(labelled, -1))).toHaveLength(3)
  // The order over all keeps what the streams show no more, and reading it raises nothing twice.
  expect(await all(log.readAll(['activity'], 'start'))).toHaveLength(13)
  const told = alarms.flatMap(({ tampering, stream }) => (tampering === 'gone' ? [] : [[tampering, stream]]))
  // The server itself changes the metadata of a deleted stream that is appended to.
  expect(told.slice(4)).toEqual([['truncated', deleted]])
  await followed.stop()
  admin.close()
  await log.close()
})
