import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { PULL_COLUMNS } from '../../../src/commands/activity/events.ts'
import type { PullsData } from '../../../src/commands/activity/events.ts'
import { LogUnavailableError } from '../../../src/commands/activity/batches.ts'
import type { Caller } from '../../../src/commands/activity/batches.ts'
import { startPullRecorder } from '../../../src/commands/activity/record.ts'
import type { Pull } from '../../../src/commands/activity/record.ts'
import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { LogNamed } from '../../../src/commands/log/events.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { MAX_APPEND_BYTES, MAX_EVENT_BYTES } from '../../../src/ports/event-log.ts'
import type { EventLog } from '../../../src/ports/event-log.ts'
import type { Event } from '../../../src/ports/event.ts'
import { repositoryKey } from '../../../src/ports/streams.ts'
import { createMemoryLog } from '../../../src/storage/events/memory.ts'
import { eventOf } from '../../storage/events/contract.ts'
import { createPlainSealer } from '../../support/history.ts'

const boot = '99999999-9999-4999-8999-999999999999'
const repository = repositoryKey('11111111-1111-4111-8111-111111111111', 'app')
const digest = (text: string): Digest => digestOf('sha256', Buffer.from(text))
const codec = createCodec(eventTypes)

describe('the recorder of pulls', () => {
  let inner: EventLog
  let caller: Caller
  let appends: (readonly Event[])[]
  /** While it stands, appends wait at the log's door. */
  let gate: Promise<undefined> | undefined
  let clock: number

  beforeEach(async () => {
    inner = createMemoryLog(codec)
    await inner.append('log', -1, [eventOf(LogNamed({ log: 'pulls000' }))])
    const subject = randomUUID()
    caller = { kind: 'user', subject, private: await createPlainSealer().seal(subject, 'somebody') }
    appends = []
    gate = undefined
    clock = Date.parse('2026-03-01T00:00:00.000Z')
  })

  let opened: { drain(): Promise<void> } | undefined
  afterEach(async () => {
    await opened?.drain()
  })

  async function recorder(options: { readonly maxPullsPerEvent?: number; readonly timeoutMs?: number } = {}) {
    const log: EventLog = {
      ...inner,
      async append(stream, expected, events, signal) {
        appends.push(events)
        await gate
        return inner.append(stream, expected, events, signal)
      },
    }
    const { maxPullsPerEvent = Infinity, timeoutMs = 10_000 } = options
    const started = await startPullRecorder({ log, boot, release: 'test', now: () => clock, maxPullsPerEvent, timeoutMs })
    appends.length = 0
    opened = started
    return started
  }

  function hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    gate = promise
    return () => {
      gate = undefined
      resolve(undefined)
    }
  }

  const pull = (more: Partial<Pull> = {}): Pull => ({ caller, repository, digest: digest('a'), requestId: randomUUID(), ...more })

  async function stored(): Promise<PullsData[]> {
    const found: PullsData[] = []
    for await (const { event } of inner.readStream(`activity-${boot}`, 0)) found.push(event.data as PullsData)
    return found
  }

  const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve))

  it('begins its stream with the start of the process', async () => {
    await recorder()
    const types: string[] = []
    for await (const { event } of inner.readStream(`activity-${boot}`, -1)) types.push(event.type)
    expect(types).toEqual(['ProcessStarted'])
    await expect(startPullRecorder({ log: inner, boot, release: 'test', now: () => clock, maxPullsPerEvent: 1, timeoutMs: 1_000 })).rejects.toThrow('two processes')
  })

  it('puts all pulls behind a commit under way into one event of one append', async () => {
    const pulls = await recorder()
    const release = hold()
    const first = pulls.record(pull())
    await turn()
    expect(appends).toHaveLength(1)
    const asked = Array.from({ length: 300 }, (_, index) => pull({ digest: digest(`artifact ${index % 3}`) }))
    const others = asked.map((each) => pulls.record(each))
    await turn()
    expect(appends).toHaveLength(1)
    release()
    await Promise.all([first, ...others])
    expect(appends.map((events) => events.length)).toEqual([1, 1])
    const [, batch] = await stored()
    expect(batch?.pulls.map((row) => row[3])).toEqual(asked.map((each) => each.requestId))
  })

  it('gathers what comes in one turn of the event loop, also in a quiet time', async () => {
    const pulls = await recorder()
    await Promise.all([pulls.record(pull()), pulls.record(pull()), pulls.record(pull())])
    expect(appends).toHaveLength(1)
    expect((await stored())[0]?.pulls).toHaveLength(3)
  })

  it('says callers and artifacts once, and of a pull only what is not usual', async () => {
    const pulls = await recorder()
    const other: Caller = { kind: 'robot', subject: randomUUID() }
    const [plain, tagged, head, ranged, blob] = [
      pull(),
      pull({ caller: other, reference: 'latest' }),
      pull({ reference: 'latest', method: 'HEAD', status: 304 }),
      pull({ digest: digest('b'), status: 206, range: '0-4' }),
      pull({ blob: true }),
    ]
    await Promise.all([plain, tagged, head, ranged, blob].map((each, index) => {
      clock += index
      return pulls.record(each)
    }))
    expect(await stored()).toEqual([
      {
        callers: [caller, other],
        artifacts: [{ repository, digest: digest('a') }, { repository, digest: digest('b') }, { repository, digest: digest('a'), blob: true }],
        columns: [...PULL_COLUMNS],
        pulls: [
          [0, 0, 0, plain.requestId],
          [1, 0, 1, tagged.requestId, 'latest'],
          [0, 0, 3, head.requestId, 'latest', 'HEAD', 304],
          [0, 1, 6, ranged.requestId, null, null, 206, '0-4'],
          [0, 2, 10, blob.requestId],
        ],
      },
    ])
    expect(appends[0]?.[0]).toMatchObject({ at: '2026-03-01T00:00:00.000Z', actor: { kind: 'system', subject: boot } })
    expect(appends[0]?.[0]).not.toHaveProperty('requestId')
  })

  it('resolves a pull when its append is durable, and not before', async () => {
    const pulls = await recorder()
    const release = hold()
    let durable = false
    const recorded = pulls.record(pull()).then(() => {
      durable = true
    })
    for (let turns = 0; turns < 5; turns += 1) await turn()
    expect(appends).toHaveLength(1)
    expect(durable).toBe(false)
    expect(await stored()).toHaveLength(0)
    release()
    await recorded
    expect(await stored()).toHaveLength(1)
  })

  it.each([
    ['long references', (index: number) => ({ reference: `${index}-${'r'.repeat(110)}` })],
    ['references of four bytes a character', (index: number) => ({ reference: `${index}-${'\u{1F433}'.repeat(60)}` })],
    ['references that JSON writes longer', (index: number) => ({ reference: `${index}-${'"'.repeat(120)}` })],
    ['an artifact each', (index: number) => ({ digest: digest(String(index)) })],
    ['a caller each', () => ({ caller: { kind: 'user' as const, subject: randomUUID() } })],
  ])('keeps events under 256 kB and appends under 1 MB with %s, and loses none', async (_, more) => {
    const pulls = await recorder()
    const release = hold()
    const first = pulls.record(pull())
    await turn()
    const asked = Array.from({ length: 6_000 }, (_each, index) => pull(more(index)))
    const others = asked.map((each) => pulls.record(each))
    release()
    await Promise.all([first, ...others])
    const sizes = appends.map((events) => events.map((event) => codec.encode(event).sizeBytes))
    for (const events of sizes) {
      expect(Math.max(...events)).toBeLessThan(MAX_EVENT_BYTES)
      expect(events.reduce((sum, each) => sum + each, 0)).toBeLessThan(MAX_APPEND_BYTES)
    }
    expect(sizes.flat().length).toBeGreaterThan(3)
    const rows = (await stored()).slice(1).flatMap((data) => data.pulls.map((row) => row[3]))
    expect(rows).toEqual(asked.map((each) => each.requestId))
  })

  it('makes each pull an event where that is wanted', async () => {
    const pulls = await recorder({ maxPullsPerEvent: 1 })
    await Promise.all(Array.from({ length: 5 }, () => pulls.record(pull())))
    expect(appends.map((events) => events.length)).toEqual([5])
    expect((await stored()).map((data) => data.pulls.length)).toEqual([1, 1, 1, 1, 1])
  })

  it('tells who waits too long, drops what was not sent, and goes on', async () => {
    const pulls = await recorder({ timeoutMs: 50 })
    const release = hold()
    const sent = pull()
    const unsent = pull()
    const first = pulls.record(sent)
    await turn()
    const second = pulls.record(unsent)
    await expect(first).rejects.toBeInstanceOf(LogUnavailableError)
    await expect(second).rejects.toBeInstanceOf(LogUnavailableError)
    const third = pull()
    const later = pulls.record(third)
    release()
    await later
    // What was sent may be there: nobody got its bytes, and a count is never too low.
    expect((await stored()).flatMap((data) => data.pulls.map((row) => row[3]))).toEqual([sent.requestId, third.requestId])
  })

  it('tells the pulls of a failed append, and records the next', async () => {
    const pulls = await recorder()
    await expect(pulls.record(pull({ reference: 'a\u0000b' }))).rejects.toThrow('U+0000')
    await pulls.record(pull())
    expect(await stored()).toHaveLength(1)
  })

  it('notes without being waited for, and drains', async () => {
    const pulls = await recorder()
    for (let index = 0; index < 10; index += 1) pulls.note(pull())
    await pulls.drain()
    expect((await stored()).flatMap((data) => data.pulls)).toHaveLength(10)
  })

  it('drains what came while a commit was under way, too', async () => {
    const pulls = await recorder()
    const release = hold()
    pulls.note(pull())
    await turn()
    pulls.note(pull())
    const drained = pulls.drain()
    release()
    await drained
    expect((await stored()).flatMap((data) => data.pulls)).toHaveLength(2)
  })
})
