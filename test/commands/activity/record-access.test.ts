import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { Caller } from '../../../src/commands/activity/batches.ts'
import type { AccessData } from '../../../src/commands/activity/events.ts'
import { createAccessRecorder } from '../../../src/commands/activity/record-access.ts'
import type { AccessRecorder } from '../../../src/commands/activity/record-access.ts'
import { MINUTE_MS } from '../../../src/commands/activity/refusals.ts'
import type { Refused } from '../../../src/commands/activity/refusals.ts'
import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { LogNamed } from '../../../src/commands/log/events.ts'
import { MAX_EVENT_BYTES } from '../../../src/ports/event-log.ts'
import type { EventLog } from '../../../src/ports/event-log.ts'
import type { Event } from '../../../src/ports/event.ts'
import { repositoryKey } from '../../../src/ports/streams.ts'
import { createMemoryLog } from '../../../src/storage/events/memory.ts'
import { eventOf } from '../../storage/events/contract.ts'
import { createPlainSealer } from '../../support/history.ts'

const boot = '99999999-9999-4999-8999-999999999999'
const project = '11111111-1111-4111-8111-111111111111'
const codec = createCodec(eventTypes)

describe('the recorder of access', () => {
  let inner: EventLog
  let appends: (readonly Event[])[]
  let gate: Promise<undefined> | undefined
  let recorder: AccessRecorder
  let caller: Caller

  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    inner = createMemoryLog(codec)
    await inner.append('log', -1, [eventOf(LogNamed({ log: 'access00' }))])
    appends = []
    gate = undefined
    const log: EventLog = {
      ...inner,
      async append(stream, expected, events, signal) {
        appends.push(events)
        await gate
        return inner.append(stream, expected, events, signal)
      },
    }
    recorder = createAccessRecorder({ log, boot, now: Date.now, timeoutMs: 10_000 })
    const subject = randomUUID()
    caller = { kind: 'user', subject, private: await createPlainSealer().seal(subject, '{"name":"somebody"}') }
  })
  afterEach(async () => {
    await recorder.drain()
    jest.useRealTimers()
  })

  const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve))
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 10; turns += 1) await turn()
  }

  async function stored(): Promise<AccessData[]> {
    const found: AccessData[] = []
    for await (const { event } of inner.readStream(`access-${boot}`, -1)) found.push(event.data as AccessData)
    return found
  }

  const refusal = (more: Partial<Refused> = {}): Refused => ({ source: '10.0.0.1', reason: 'credentials', requestId: randomUUID(), ...more })
  const refuse = (asked: Refused): void => {
    recorder.refuse(asked, () => Promise.resolve(caller))
  }
  const rows = async () => (await stored()).flatMap(({ callers, entries }) => entries.map(({ caller: index, milliseconds: _milliseconds, ...entry }) => ({ ...entry, subject: callers[index]?.subject })))

  it('has logins and tokens on record when their promise resolves, and one append for many', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    gate = promise
    let durable = false
    const requestId = randomUUID()
    const first = recorder.record({ what: 'login', by: 'password', caller, requestId }).then(() => {
      durable = true
    })
    await settle()
    expect({ durable, stored: await stored() }).toEqual({ durable: false, stored: [] })
    const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]
    const others = Array.from({ length: 500 }, () => recorder.record({ what: 'token', caller, requestId: randomUUID(), access, seconds: 300, refresh: false }))
    gate = undefined
    resolve(undefined)
    await Promise.all([first, ...others])
    expect(appends.map((events) => events.length)).toEqual([1, 1])
    const [login, tokens] = await stored()
    expect(login).toEqual({ callers: [caller], entries: [{ what: 'login', by: 'password', caller: 0, milliseconds: 0, request: requestId }] })
    expect(tokens?.callers).toEqual([caller])
    expect(tokens?.entries).toHaveLength(500)
    expect(tokens?.entries[0]).toMatchObject({ what: 'token', access, seconds: 300 })
  })

  it('keeps events under their bound, and loses none', async () => {
    const name = `team/${'a'.repeat(200)}`
    const access = Array.from({ length: 50 }, (_, index) => ({ type: 'repository', name: `${name}${index}`, actions: ['pull', 'push', 'delete'] }))
    const asked = Array.from({ length: 100 }, () => randomUUID())
    await Promise.all(asked.map((requestId) => recorder.record({ what: 'token', caller: { ...caller }, requestId, access, seconds: 300, refresh: true })))
    expect(appends.flat().length).toBeGreaterThan(3)
    for (const event of appends.flat()) expect(codec.encode(event).sizeBytes).toBeLessThan(MAX_EVENT_BYTES)
    expect((await rows()).map((row) => ('request' in row ? row.request : undefined))).toEqual(asked)
  })

  it('records a refusal at its first in a minute, and counts those after it when the minute ends', async () => {
    const first = refusal()
    refuse(first)
    for (let index = 0; index < 6; index += 1) refuse(refusal())
    const other = refusal({ reason: 'throttled' })
    refuse(other)
    await settle()
    const begun = [
      { what: 'refusal', reason: 'credentials', request: first.requestId, subject: caller.subject },
      { what: 'refusal', reason: 'throttled', request: other.requestId, subject: caller.subject },
    ]
    expect(await rows()).toEqual(begun)
    await jest.advanceTimersByTimeAsync(MINUTE_MS)
    await settle()
    expect(await rows()).toEqual([...begun, { what: 'refusals', reason: 'credentials', count: 6, subject: caller.subject }])
    const again = refusal()
    refuse(again)
    await settle()
    expect((await rows()).at(-1)).toMatchObject({ what: 'refusal', request: again.requestId })
  })

  it.each([
    ['one network', () => ({})],
    ['one subject at as many repositories', (index: number) => ({ source: caller.subject, reason: 'role' as const, repository: repositoryKey(project, `app-${index}`), action: 'pull' })],
    ['as many networks', (index: number) => ({ source: `2001:db8:${(index >> 16).toString(16)}:${(index & 65_535).toString(16)}::/64` })],
    ['as many networks at as many repositories', (index: number) => ({ source: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, reason: 'role' as const, repository: repositoryKey(project, `app-${index}`) })],
  ])('counts 100,000 refusals of %s in a few hundred rows', async (_, more) => {
    let sealed = 0
    const before = process.memoryUsage().heapUsed
    for (let index = 0; index < 100_000; index += 1) {
      recorder.refuse(refusal(more(index)), () => {
        sealed += 1
        return Promise.resolve(caller)
      })
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 * 1024)
    await recorder.drain()
    const all = await rows()
    expect(all.length).toBeLessThan(1_100)
    expect(sealed).toBeLessThanOrEqual(500)
    expect(all.reduce((sum, row) => sum + (row.what === 'refusals' ? row.count : 1), 0)).toBe(100_000)
  })

  it('keeps nothing of a minute that ended', async () => {
    for (let index = 0; index < 50; index += 1) refuse(refusal({ source: `10.0.0.${index}` }))
    await settle()
    await jest.advanceTimersByTimeAsync(MINUTE_MS)
    await settle()
    expect(await rows()).toHaveLength(50)
    expect(jest.getTimerCount()).toBe(0)
  })
})
