import { setTimeout as sleep } from 'node:timers/promises'
import { MAX_APPEND_BYTES, EventError } from '../../ports/event-log.ts'
import type { AppendResult, Delivery, EventCodec, EventLog, From, Resolved } from '../../ports/event-log.ts'
import type { Event, Recorded } from '../../ports/event.ts'
import { comparePositions, parsePosition, position, positionLog, positionNumber } from '../../ports/position.ts'
import type { Position } from '../../ports/position.ts'
import { laneOf } from '../../ports/streams.ts'
import type { Lane } from '../../ports/streams.ts'
import { logNameIn } from './naming.ts'

type Row = { readonly stream: string; readonly revision: number; readonly id: string; readonly text: string; readonly hash: string }

/** The log in an array: for unit tests. It encodes and decodes as the others do, so what it accepts they accept. */
export function createMemoryLog(codec: EventCodec): EventLog {
  const rows: Row[] = []
  const lengths = new Map<string, number>()
  let name: string | undefined
  let wake = Promise.withResolvers<undefined>()

  const at = (index: number): Position => position(name ?? unnamed(), index + 1)
  const recorded = (row: Row, index: number): Recorded => ({
    event: codec.decode(row.text, row.hash),
    stream: row.stream,
    revision: row.revision,
    position: at(index),
    hash: row.hash,
  })

  function firstIndex(from: From): number {
    if (from === 'start') return 0
    if ('after' in from) return indexOf(from.after) + 1
    return indexOf(from.at)
  }

  function indexOf(given: Position): number {
    if (positionLog(given) !== name) throw new Error(`${given} is a position of another log`)
    return Number(positionNumber(given)) - 1
  }

  function* page(lanes: readonly Lane[], first: number, end: number): Generator<Recorded> {
    for (let index = first; index < end; index += 1) {
      const row = rows[index]
      if (row !== undefined && lanes.includes(laneOf(row.stream))) yield recorded(row, index)
    }
  }

  return {
    async append(stream, expected, events: readonly Event[], signal): Promise<AppendResult> {
      await Promise.resolve()
      signal?.throwIfAborted()
      const encoded = events.map((event) => codec.encode(event))
      if (encoded.reduce((sum, each) => sum + each.sizeBytes, 0) >= MAX_APPEND_BYTES) throw new EventError('an append is too large')
      const actual = (lengths.get(stream) ?? 0) - 1
      if (actual !== expected) {
        const stored = rows.flatMap((row, index) => (row.stream === stream && row.revision > expected ? [{ row, index }] : []))
        const repeat = encoded.every((each, index) => stored[index]?.row.id === each.id)
        return repeat && encoded.length > 0
          ? { status: 'appended', positions: stored.slice(0, encoded.length).map((each) => at(each.index)) }
          : { status: 'conflict', actual }
      }
      name = logNameIn(stream, events) ?? name
      const first = rows.length
      encoded.forEach((each, index) => {
        rows.push({ stream, revision: expected + 1 + index, id: each.id, text: each.text, hash: each.hash.toString('hex') })
      })
      lengths.set(stream, expected + 1 + encoded.length)
      wake.resolve(undefined)
      wake = Promise.withResolvers()
      return { status: 'appended', positions: encoded.map((_, index) => at(first + index)) }
    },
    async *readStream(stream, after) {
      await Promise.resolve()
      const end = rows.length
      for (let index = 0; index < end; index += 1) {
        const row = rows[index]
        if (row?.stream === stream && row.revision > after) yield recorded(row, index)
      }
    },
    async *readAll(lanes, from) {
      await Promise.resolve()
      yield* page(lanes, firstIndex(from), rows.length)
    },
    async *subscribe(lanes, from, signal): AsyncGenerator<Delivery> {
      let next = firstIndex(from)
      while (!signal.aborted) {
        const woken = wake.promise
        const end = rows.length
        for (const each of page(lanes, next, end)) yield { kind: 'event', recorded: each }
        next = Math.max(next, end)
        if (end > 0) yield { kind: 'marker', position: at(end - 1) }
        const timer = new AbortController()
        await Promise.race([woken, sleep(1000, undefined, { signal: AbortSignal.any([signal, timer.signal]) }).catch(() => undefined)])
        timer.abort()
      }
    },
    resolve(text): Promise<Resolved> {
      const given = parsePosition(text)
      if (given === undefined) return Promise.resolve({ status: 'refused', reason: `${text} is no position` })
      if (positionLog(given) !== name) return Promise.resolve({ status: 'refused', reason: `${text} is a position of another log` })
      if (positionNumber(given) === 0n || rows.length === 0 || comparePositions(given, at(rows.length - 1)) > 0) {
        return Promise.resolve({ status: 'refused', reason: `${text} is beyond the head of the log` })
      }
      return Promise.resolve({ status: 'resolved', position: given })
    },
    head: () => Promise.resolve(rows.length === 0 ? undefined : at(rows.length - 1)),
    fromLast: (count) => Promise.resolve(count >= rows.length ? 'start' : { at: at(rows.length - count) }),
    close: () => Promise.resolve(),
  }
}

function unnamed(): never {
  throw new Error('the first append to a log names it (LogNamed)')
}
