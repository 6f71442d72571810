import { setTimeout as sleep } from 'node:timers/promises'
import eventstore from '@eventstore/db-client'
import type { EventStoreDBClient } from '@eventstore/db-client'
import { afterEach, describe, expect, it } from '@jest/globals'
import { startStandIn } from '../support/eventstoredb.ts'
import type { StandIn } from '../support/eventstoredb.ts'
import { until } from '../support/until.ts'
import { APPEND_CALLS, appendBy, connect, endClients, idsOf, insist, newEvent, outcomeOf, watch } from './client.ts'
import type { AppendCall, Watched } from './client.ts'

const { END, NO_STREAM, START } = eventstore

const RESET = 'UnavailableError | unavailable | 14 UNAVAILABLE: read ECONNRESET'
const DROPPED = 'UnavailableError | unavailable | 14 UNAVAILABLE: Connection dropped'
const REFUSED =
  /^(UnavailableError \| unavailable|Error \| ) \| 14 UNAVAILABLE: No connection established\. Last error: Error: connect ECONNREFUSED/
const NOT_READY = 'UnavailableError | unavailable | 14 UNAVAILABLE: Server Is Not Ready'
const NOT_READY_IN_BATCH = 'UnknownError | unknown | Could not recognize Server Is Not Ready'
/** What an append may be told, too, that comes to a connection just when either side closes it. */
const RACED = [RESET, DROPPED, 'UnavailableError | unavailable | 14 UNAVAILABLE: Channel closed before call started']
/**
 * The same, of a connection that was being made anew: the system had taken it when the port was closed, and nobody was there to serve it.
 * No recording holds it, since it is met once in some sixteen ends; but it is the system's word, whoever the server is.
 */
const RACED_ANEW =
  /^UnavailableError \| unavailable \| 14 UNAVAILABLE: No connection established\. Last error: (read ECONNRESET \(\S+\)|Error: connect ECONNRESET <address>)\. Resolution note: $/
const NO_STATUS = 'UnknownError | unknown | 13 INTERNAL: Received RST_STREAM with code 0 (Call ended without gRPC status)'

/** What fixtures/eventstoredb/faults.json and faults-older-call.json say that appends are told. */
const TOLD: Readonly<Record<AppendCall, Readonly<Record<'SIGKILL' | 'SIGTERM', readonly string[]>>>> = {
  'the batch call': {
    SIGKILL: [RESET, DROPPED],
    SIGTERM: ['DeadlineExceededError | deadline-exceeded | ', NO_STATUS],
  },
  'the older call': {
    SIGKILL: [RESET, DROPPED],
    SIGTERM: ['TimeoutError | timeout | 10 ABORTED: Operation timed out: Request canceled by server', NOT_READY, NO_STATUS],
  },
}

function subscribe(client: EventStoreDBClient): Watched {
  return watch(client.subscribeToAll({ fromPosition: END }))
}

/*
 * The driver has one list of batch appends without an answer for all clients of a process: a connection that breaks fails those of every
 * client. One that an earlier test left behind is found broken ten seconds later, in the middle of another test.
 */
afterEach(endClients)

/** Sixteen writers, each to a stream of its own, until they are stopped; what was acknowledged, and what they were told. */
function startWriters(client: EventStoreDBClient, call: AppendCall) {
  const acknowledged: string[] = []
  const errors = new Set<string>()
  const stopping = new AbortController()
  const writers = Array.from({ length: 16 }, async (_, writer) => {
    while (!stopping.signal.aborted) {
      const event = newEvent({ writer })
      // A batch append of a server that has gone may stay without an answer.
      const outcome = await Promise.race([outcomeOf(appendBy(call, client, `writer-${writer}`, event)), sleep(5000, 'no answer')])
      if (outcome === 'success') acknowledged.push(event.id)
      else {
        errors.add(outcome)
        await sleep(20)
      }
    }
  })
  return {
    acknowledged,
    errors,
    async stop() {
      stopping.abort()
      await Promise.all(writers)
    },
  }
}

describe.each(APPEND_CALLS)('by %s', (call) => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('loses nothing acknowledged at a %s, and tells what the real server told', async (signal) => {
    const standIn = await startStandIn()
    const client = connect(standIn.url)
    const seen = subscribe(client)
    await seen.saw('caughtUp')
    const writers = startWriters(client, call)
    const { acknowledged, errors } = writers
    await until(() => acknowledged.length > 200, '200 appends')
    await standIn.kill(signal)
    await until(() => [...errors].some((error) => REFUSED.test(error)), 'an append that finds nobody')
    await writers.stop()
    const known = [...TOLD[call][signal], ...RACED]
    const unexpected = [...errors].filter((error) => !REFUSED.test(error) && !RACED_ANEW.test(error) && !known.includes(error))
    expect(unexpected).toEqual([])
    expect(TOLD[call][signal].filter((error) => errors.has(error))).not.toEqual([])
    const broken: unknown = expect.stringMatching(/^error: UnavailableError .*(read ECONNRESET|Connection dropped)$/)
    const ended = signal === 'SIGKILL' ? broken : `error: ${NO_STATUS}`
    expect(seen.signals).toEqual(['confirmation', 'caughtUp', ended])
    const stored = new Set(standIn.stored().map(({ id }) => id))
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([])
    await standIn.restart()
    // The same client finds the server again, and all that was acknowledged.
    await insist(() => appendBy(call, client, 'afterwards', newEvent()))
    const read = (await Promise.all(Array.from({ length: 16 }, (_, writer) => idsOf(client, `writer-${writer}`)))).flat()
    expect(acknowledged.filter((id) => !read.includes(id))).toEqual([])
    expect(new Set(read).size).toBe(read.length)
  })

  it('is not ready from the moment on that its port is open, until it is', async () => {
    const standIn = await startStandIn(['--ready-after', '1500'])
    const told = await insist(() => appendBy(call, connect(standIn.url), 'early', newEvent()))
    expect(told).toEqual([call === 'the batch call' ? NOT_READY_IN_BATCH : NOT_READY])
  })

  it('breaks the appends of two clients when it is killed with both open', async () => {
    const standIn = await startStandIn()
    const clients = [connect(standIn.url), connect(standIn.url)]
    await Promise.all(clients.map((client, index) => appendBy(call, client, `warm-${index}`, newEvent())))
    standIn.signal('SIGSTOP')
    const outcomes = clients.map((client, index) => outcomeOf(appendBy(call, client, `open-${index}`, newEvent())))
    // What was sent must be with the server, unread: that is what makes a reset of its end.
    await sleep(300)
    await standIn.kill('SIGKILL')
    expect(await Promise.all(outcomes)).toEqual([RESET, RESET])
  })
})

it('refuses reads and subscriptions, too, while it is not ready', async () => {
  const standIn = await startStandIn(['--ready-after', '1500'])
  expect(await insist(() => idsOf(connect(standIn.url), '$epoch-information'))).toEqual([NOT_READY])
  await standIn.restart(['--ready-after', '1500'])
  const seen = subscribe(connect(standIn.url))
  await seen.saw('error')
  expect(seen.signals).toEqual([`error: ${NOT_READY}`])
})

it('is frozen and wakes: an append past its deadline is not written, and its repeat is', async () => {
  const standIn = await startStandIn()
  const [batch, older] = [connect(standIn.url), connect(standIn.url)]
  await appendBy('the batch call', batch, 'frozen', newEvent(), { expected: NO_STREAM })
  await idsOf(older, 'frozen')
  const events = [newEvent(), newEvent()] as const
  standIn.signal('SIGSTOP')
  const outcome = outcomeOf(appendBy('the batch call', batch, 'frozen', events[0], { expected: 0n, deadlineMs: 2000 }))
  const told = await outcomeOf(appendBy('the older call', older, 'frozen', events[1], { expected: 0n, deadlineMs: 2000 }))
  expect(told).toMatch(/^DeadlineExceededError \| deadline-exceeded \| 4 DEADLINE_EXCEEDED: Deadline exceeded after 2\.\d+s/)
  // The batch call's deadline is the server's to keep, which sleeps.
  expect(await Promise.race([outcome, sleep(500, 'still pending')])).toBe('still pending')
  standIn.signal('SIGCONT')
  expect(await outcome).toBe('DeadlineExceededError | deadline-exceeded | ')
  expect(await idsOf(connect(standIn.url), 'frozen')).toHaveLength(1)
  for (const [index, event] of events.entries()) {
    await insist(() => appendBy('the older call', connect(standIn.url), 'frozen', event, { expected: BigInt(index) }))
  }
  expect((await idsOf(connect(standIn.url), 'frozen')).slice(1)).toEqual(events.map(({ id }) => id))
})

it('is dropped by a client that keeps its connection alive, once it is frozen for longer', async () => {
  const standIn = await startStandIn()
  const client = connect(standIn.url, '&keepAliveInterval=500&keepAliveTimeout=500')
  const seen = watch(client.subscribeToStream('frozen', { fromRevision: START }))
  await seen.saw('caughtUp')
  standIn.signal('SIGSTOP')
  await seen.saw('error')
  expect(seen.signals).toEqual(['confirmation', 'caughtUp', `error: ${DROPPED}`])
})

describe('by order', () => {
  const call: AppendCall = 'the older call'

  async function started(): Promise<{ standIn: StandIn; client: EventStoreDBClient }> {
    const standIn = await startStandIn()
    return { standIn, client: connect(standIn.url) }
  }

  it('is not ready, for as many calls as it is told', async () => {
    const { standIn, client } = await started()
    await standIn.fault({ kind: 'not-ready', calls: ['append', 'batchAppend'], times: 2 })
    expect(await outcomeOf(appendBy('the older call', client, 'a', newEvent()))).toBe(NOT_READY)
    expect(await outcomeOf(appendBy('the batch call', client, 'a', newEvent()))).toBe(NOT_READY_IN_BATCH)
    expect(await outcomeOf(appendBy('the batch call', client, 'a', newEvent()))).toBe('success')
    await standIn.fault({ kind: 'not-ready', calls: ['read', 'subscribe'] })
    expect(await outcomeOf(idsOf(client, 'a'))).toBe(NOT_READY)
    const seen = subscribe(client)
    await seen.saw('error')
    expect(seen.signals).toEqual([`error: ${NOT_READY}`])
    await standIn.clearFaults()
    expect(await idsOf(client, 'a')).toHaveLength(1)
  })

  it.each(APPEND_CALLS)('leads elsewhere, by %s, and the client goes there', async (by) => {
    const [there, here] = [await startStandIn(), await startStandIn()]
    const client = connect(here.url)
    await appendBy(by, client, 'here', newEvent())
    const leader = { host: '127.0.0.1', port: there.port }
    await here.fault({ kind: 'not-leader', leader, calls: ['append', 'batchAppend'], times: 1 })
    const error = await appendBy(by, client, 'a', newEvent()).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ type: 'not-leader', leader: { address: '127.0.0.1', port: there.port } })
    await insist(() => appendBy(by, client, 'there', newEvent()))
    expect(there.stored().filter(({ stream }) => stream === 'there')).toHaveLength(1)
  })

  it('does not know who leads', async () => {
    const { standIn, client } = await started()
    await standIn.fault({ kind: 'not-leader', times: 3 })
    const words = 'No leader info available in response'
    expect(await outcomeOf(appendBy('the older call', client, 'a', newEvent()))).toBe(`UnknownError | unknown | 2 UNKNOWN: ${words}`)
    const inBatch = await outcomeOf(appendBy('the batch call', client, 'a', newEvent()))
    expect(inBatch).toBe(`UnknownError | unknown | Could not recognize ${words}`)
    expect(await outcomeOf(idsOf(client, 'a'))).toBe(`UnknownError | unknown | 2 UNKNOWN: ${words}`)
  })

  it.each([true, false])('loses an answer to an append that was written: %s', async (written) => {
    const { standIn, client } = await started()
    const event = newEvent()
    await standIn.fault({ kind: 'lost-answer', written, times: 2 })
    const unanswered = { expected: NO_STREAM, deadlineMs: 1000 } as const
    expect(await outcomeOf(appendBy(call, client, 'a', event, unanswered))).toMatch(/^DeadlineExceededError/)
    const inBatch = outcomeOf(appendBy('the batch call', client, 'b', newEvent(), unanswered))
    expect(await Promise.race([inBatch, sleep(1500, 'pending')])).toBe('pending')
    const stored = standIn.stored().filter(({ stream }) => stream === 'a' || stream === 'b')
    expect(stored).toHaveLength(written ? 2 : 0)
    const repeat = await appendBy(call, client, 'a', event, unanswered)
    expect(repeat.nextExpectedRevision).toBe(0n)
    expect(standIn.stored().filter(({ stream }) => stream === 'a')).toHaveLength(1)
  })

  it('breaks the connection in the place of an answer', async () => {
    const { standIn, client } = await started()
    const other = connect(standIn.url, '&keepAliveInterval=20000')
    const seen = subscribe(other)
    await seen.saw('caughtUp')
    const event = newEvent()
    await standIn.fault({ kind: 'lost-answer', written: true, cut: true, times: 1 })
    expect([RESET, DROPPED]).toContain(await outcomeOf(appendBy(call, client, 'a', event)))
    expect(await insist(() => appendBy(call, client, 'a', event, { expected: NO_STREAM }))).toEqual([])
    // Another client's connection is left alone.
    await until(() => seen.ids.includes(event.id), 'the event')
    expect(seen.signals).toEqual(['confirmation', 'caughtUp'])
  })

  it('drops subscriptions, in order, with an error or without a status', async () => {
    const { standIn, client } = await started()
    const first = subscribe(client)
    await first.saw('caughtUp')
    await standIn.act({ kind: 'drop-subscriptions', how: 'in-order' })
    await first.saw('end')
    const second = subscribe(client)
    await second.saw('caughtUp')
    await standIn.act({ kind: 'drop-subscriptions', how: 'error' })
    await second.saw('error')
    const third = subscribe(connect(standIn.url))
    await third.saw('caughtUp')
    await standIn.act({ kind: 'reset-calls' })
    await third.saw('error')
    const fourth = subscribe(connect(standIn.url))
    await fourth.saw('caughtUp')
    await standIn.act({ kind: 'cut-connections' })
    await fourth.saw('error')
    expect(first.signals).toEqual(['confirmation', 'caughtUp', 'end'])
    expect(second.signals).toEqual(['confirmation', 'caughtUp', `error: ${NOT_READY}`])
    expect(third.signals).toEqual(['confirmation', 'caughtUp', `error: ${NO_STATUS}`])
    expect(fourth.signals).toEqual(['confirmation', 'caughtUp', expect.stringMatching(/^error: UnavailableError .*(ECONNRESET|dropped)$/)])
    expect((await standIn.status()).subscriptions).toBe(0)
  })

  it('takes its time', async () => {
    const { standIn, client } = await started()
    await standIn.fault({ kind: 'delay', ms: 600, calls: ['append'], times: 1 })
    const outcome = outcomeOf(appendBy(call, client, 'a', newEvent()))
    expect(await Promise.race([outcome, sleep(300, 'pending')])).toBe('pending')
    expect(await outcome).toBe('success')
  })

  it('refuses an order that makes no sense', async () => {
    const { standIn } = await started()
    const door = `http://127.0.0.1:${standIn.port}/stand-in`
    const post = (path: string, body: unknown) => fetch(`${door}/${path}`, { method: 'POST', body: JSON.stringify(body) })
    expect((await post('faults', { kind: 'none' })).status).toBe(400)
    expect((await post('faults', { kind: 'not-ready', calls: ['nonsense'] })).status).toBe(400)
    expect((await post('actions', { kind: 'drop-subscriptions' })).status).toBe(400)
    expect((await standIn.status()).faults).toEqual([])
  })
})
