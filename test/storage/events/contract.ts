import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { LogNamed } from '../../../src/commands/log/events.ts'
import { ProcessStarted } from '../../../src/commands/activity/events.ts'
import { TagDeleted } from '../../../src/commands/repository/events.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseTag } from '../../../src/oci/names.ts'
import type { Tag } from '../../../src/oci/names.ts'
import type { Delivery, EventLog, From } from '../../../src/ports/event-log.ts'
import type { Event, Fact, Recorded } from '../../../src/ports/event.ts'
import { comparePositions, position } from '../../../src/ports/position.ts'
import type { Position } from '../../../src/ports/position.ts'

const digest = digestOf('sha256', Buffer.from('contract'))

function tagNamed(text: string): Tag {
  const tag = parseTag(text)
  if (tag === undefined) throw new Error(`${text} is no tag`)
  return tag
}

export function eventOf<F extends Fact>(fact: F, id: string = randomUUID()): Event<F> {
  return { ...fact, id, at: '2026-01-01T00:00:00.000Z', actor: { kind: 'system', subject: '00000000-0000-4000-8000-000000000001' } }
}

const stateEvent = (tag = 'a'): Event => eventOf(TagDeleted({ tag: tagNamed(tag), digest }))
const activityEvent = (): Event => eventOf(ProcessStarted({ release: 'test' }))
const newStream = (): string => `repository-${randomUUID()}/app`
const newActivity = (): string => `activity-${randomUUID()}`

async function all(events: AsyncIterable<Recorded>): Promise<Recorded[]> {
  const found: Recorded[] = []
  for await (const each of events) found.push(each)
  return found
}

/** What every adapter of `EventLog` keeps. `second` opens another process's view of the same log, where there is one. */
export function describeEventLog(name: string, open: () => Promise<{ log: EventLog; second?: () => Promise<EventLog>; end(): Promise<void> }>): void {
  describe(`${name}: an event log`, () => {
    let opened: Awaited<ReturnType<typeof open>>
    let log: EventLog
    beforeAll(async () => {
      opened = await open()
      log = opened.log
      expect(await log.head()).toBeUndefined()
      await log.append('log', -1, [eventOf(LogNamed({ log: 'contract' }))])
    })
    afterAll(() => opened.end())

    async function append(stream: string, expected: number, events: readonly Event[]): Promise<readonly Position[]> {
      const result = await log.append(stream, expected, events)
      if (result.status !== 'appended') throw new Error(`conflict at ${result.actual}`)
      return result.positions
    }

    const positionsFrom = async (from: From): Promise<Position[]> => (await all(log.readAll(['state', 'activity'], from))).map((each) => each.position)

    it('gives each event a revision from 0 and a position of its own, in order', async () => {
      const stream = newStream()
      const first = await append(stream, -1, [stateEvent('a'), stateEvent('b')])
      const second = await append(stream, 1, [stateEvent('c')])
      const read = await all(log.readStream(stream, -1))
      expect(read.map((each) => each.revision)).toEqual([0, 1, 2])
      expect(read.map((each) => each.position)).toEqual([...first, ...second])
      for (const [index, each] of read.slice(1).entries()) expect(comparePositions(each.position, read[index]?.position ?? each.position)).toBeGreaterThan(0)
      expect(await all(log.readStream(stream, 1))).toEqual(read.slice(2))
      expect(await all(log.readStream(newStream(), -1))).toEqual([])
    })

    it('gives back what was written, and the hash of its canonical form', async () => {
      const stream = newStream()
      const event = stateEvent('Z.z_-')
      await append(stream, -1, [event])
      const [read] = await all(log.readStream(stream, -1))
      expect(read?.event).toEqual(event)
      expect(read?.hash).toMatch(/^[0-9a-f]{64}$/)
    })

    it('appends all of an append or nothing, and says where the stream stands', async () => {
      const stream = newStream()
      await append(stream, -1, [stateEvent()])
      expect(await log.append(stream, -1, [stateEvent(), stateEvent()])).toEqual({ status: 'conflict', actual: 0 })
      expect(await log.append(stream, 5, [stateEvent()])).toEqual({ status: 'conflict', actual: 0 })
      expect(await log.append(newStream(), 0, [stateEvent()])).toEqual({ status: 'conflict', actual: -1 })
      expect(await all(log.readStream(stream, -1))).toHaveLength(1)
    })

    it('answers a repeat of the same ids with the first positions, also when more came after', async () => {
      const stream = newStream()
      const events = [stateEvent('a'), stateEvent('b')]
      const first = await append(stream, -1, events)
      await append(stream, 1, [stateEvent('c')])
      expect(await append(stream, -1, events)).toEqual(first)
      expect(await log.append(stream, -1, [...events, stateEvent('d')])).toEqual({ status: 'conflict', actual: 2 })
      expect(await all(log.readStream(stream, -1))).toHaveLength(3)
    })

    it('lets one of many concurrent appends at a revision through', async () => {
      const stream = newStream()
      const results = await Promise.all(Array.from({ length: 20 }, () => log.append(stream, -1, [stateEvent()])))
      expect(results.filter((each) => each.status === 'appended')).toHaveLength(1)
      expect(results.filter((each) => each.status === 'conflict' && each.actual === 0)).toHaveLength(19)
    })

    it('refuses an event that breaks its schema, and keeps the others of the moment', async () => {
      const good = log.append(newStream(), -1, [stateEvent()])
      const bad = log.append(newStream(), -1, [{ ...stateEvent(), data: { tag: 'a b', digest } }])
      const unknown = log.append(newStream(), -1, [{ ...stateEvent(), type: 'NeverHeardOf' }])
      await expect(bad).rejects.toThrow('schema')
      await expect(unknown).rejects.toThrow('NeverHeardOf')
      expect((await good).status).toBe('appended')
    })

    it('refuses U+0000, lone surrogates and events that are too large', async () => {
      const release = (text: string): Promise<unknown> => log.append(newActivity(), -1, [eventOf(ProcessStarted({ release: text }))])
      await expect(release('a\u0000b')).rejects.toThrow()
      await expect(release('a\ud800b')).rejects.toThrow()
      await expect(release('x'.repeat(256_000))).rejects.toThrow('larger')
      await expect(release('\\u0000 as text, \ud83d\ude00')).resolves.toMatchObject({ status: 'appended' })
    })

    it('reads lanes in one order, from the start, after and at a position', async () => {
      const [a = position('contract', 1)] = await append(newStream(), -1, [stateEvent()])
      const [b = a] = await append(newActivity(), -1, [activityEvent()])
      const [c = a] = await append(newStream(), -1, [stateEvent()])
      const positions = async (...args: Parameters<EventLog['readAll']>): Promise<Position[]> => (await all(log.readAll(...args))).map((each) => each.position)
      expect(await positions(['state', 'activity'], { at: a })).toEqual([a, b, c])
      expect(await positions(['state', 'activity'], { after: a })).toEqual([b, c])
      expect(await positions(['state'], { at: a })).toEqual([a, c])
      expect(await positions(['activity'], { at: a })).toEqual([b])
      expect((await positions(['state', 'activity'], 'start')).at(-1)).toBe(c)
    })

    it('finds where its last events begin', async () => {
      const positions = await positionsFrom('start')
      const last = async (count: number) => (await positionsFrom(await log.fromLast(count))).slice(-count)
      expect(await last(1)).toEqual(positions.slice(-1))
      expect(await last(5)).toEqual(positions.slice(-5))
      expect(await last(1_000_000)).toEqual(positions)
      expect((await positionsFrom(await log.fromLast(2))).length).toBeLessThan(positions.length)
    })

    it('resolves only positions that it gave', async () => {
      const head = await log.head()
      expect(await log.resolve(head ?? '')).toEqual({ status: 'resolved', position: head })
      for (const text of ['', '5', 'contract-', 'contract-0', 'contract-999999999', 'otherlog-1', 'contract-1x']) {
        expect(await log.resolve(text)).toMatchObject({ status: 'refused' })
      }
      const elsewhere = log.subscribe(['state'], { after: position('otherlog', 1) }, AbortSignal.timeout(1000))
      await expect(elsewhere[Symbol.asyncIterator]().next()).rejects.toThrow('another log')
    })

    it('delivers to a subscription what was there and what comes, each once, markers never ahead', async () => {
      const end = new AbortController()
      const from = await log.head()
      const before = await append(newStream(), -1, [stateEvent(), stateEvent()])
      const seen: Delivery[] = []
      const subscription = (async () => {
        for await (const delivery of log.subscribe(['state'], from === undefined ? 'start' : { after: from }, end.signal)) seen.push(delivery)
      })()
      const later: Position[] = []
      for (let round = 0; round < 30; round += 1) {
        later.push(...(await append(newStream(), -1, [stateEvent()])))
        await append(newActivity(), -1, [activityEvent()])
      }
      const last = await log.head()
      await until(() => seen.some((each) => each.kind === 'marker' && each.position === last))
      end.abort()
      await subscription
      const delivered = seen.flatMap((each) => (each.kind === 'event' ? [each.recorded.position] : []))
      expect(delivered).toEqual([...before, ...later])
      let marker: Position | undefined
      for (const each of seen) {
        if (each.kind === 'marker') marker = each.position
        else if (marker !== undefined) expect(comparePositions(each.recorded.position, marker)).toBeGreaterThan(0)
      }
    })

    it('marks at least once a second while nothing happens', async () => {
      const end = new AbortController()
      let markers = 0
      const head = await log.head()
      const subscription = (async () => {
        for await (const each of log.subscribe(['state'], head === undefined ? 'start' : { after: head }, end.signal)) if (each.kind === 'marker') markers += 1
      })()
      await until(() => markers >= 2)
      end.abort()
      await subscription
    })

    it('frees the caller of an aborted append', async () => {
      await expect(log.append(newStream(), -1, [stateEvent()], AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    })

    it('shows another process the same events, in the same order, none passed over', async () => {
      if (opened.second === undefined) return
      const other = await opened.second()
      const end = new AbortController()
      const from = await log.head()
      const seen: Position[] = []
      const subscription = (async () => {
        for await (const each of other.subscribe(['state', 'activity'], from === undefined ? 'start' : { after: from }, end.signal)) {
          if (each.kind === 'event') seen.push(each.recorded.position)
        }
      })()
      const appends = Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? log : other).append(newStream(), -1, [stateEvent()]))
      const positions = (await Promise.all(appends)).flatMap((each) => (each.status === 'appended' ? each.positions : []))
      await until(() => seen.length === 200)
      end.abort()
      await subscription
      expect(seen).toEqual([...positions].sort(comparePositions))
      await other.close()
    })
  })
}

export async function until(done: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error('waited too long')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
