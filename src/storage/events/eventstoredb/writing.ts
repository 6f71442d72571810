import { ANY, jsonEvent } from '@eventstore/db-client'
import type { AppendResult, EventCodec } from '../../../ports/event-log.ts'
import type { Event } from '../../../ports/event.ts'
import type { Position } from '../../../ports/position.ts'
import { logNameIn } from '../naming.ts'
import type { Alarms } from './alarms.ts'
import { createAppender } from './appender.ts'
import { createClock } from './clock.ts'
import type { Span } from './clock.ts'
import type { Connection, RetryObserver } from './connection.ts'
import type { Names } from './names.ts'
import type { Positions } from './positions.ts'
import type { Reader } from './reader.ts'
import { isType } from './verdict.ts'

const PROBE_MS = 3_000

export type Committed = (commit: { readonly seconds: number; readonly events: number }) => void

/** What appends need beside the appender: the clocks compared before, and the answer completed after. */
export function createWriting(options: {
  readonly connection: Connection
  readonly reader: Reader
  readonly names: Names
  readonly codec: EventCodec
  readonly positions: Positions
  readonly alarms: Alarms
  readonly committed: Committed
  readonly retried: RetryObserver
  readonly now: () => number
}) {
  const { connection, reader, names, codec, positions, alarms, committed } = options
  const appender = createAppender(connection, options.retried)
  const clock = createClock(probe, options.now)

  /** The server's time can only be had from an event; this one stands outside of the lanes. */
  async function probe(): Promise<{ readonly created: Date; readonly span: Span }> {
    const sentAt = performance.now()
    const event = jsonEvent({ type: 'ClockRead', data: {} })
    const { nextExpectedRevision } = await connection.ask(PROBE_MS, (client) => client.appendToStream(names.clock, event, { expectedRevision: ANY, deadline: PROBE_MS }))
    const span = { sentAt, answeredAt: performance.now() }
    for await (const stored of reader.stream(names.clock, Number(nextExpectedRevision), 1)) if (stored !== 'absent') return { created: stored.created, span }
    throw new Error('the server does not show what it has just written')
  }

  /** Looks at when an event of ours was created. The first of a process is waited for: what comes after is written by a known clock. */
  async function compareClocks(server: string, revision: number, span: Span): Promise<void> {
    if (!clock.due()) return
    const look = async (): Promise<void> => {
      for await (const event of reader.stream(server, revision, 1)) if (event !== 'absent') clock.saw(event.created, span)
    }
    // One that fails is made up for by the next.
    const looked = look().catch(() => undefined)
    if (!clock.isKnown()) await looked
  }

  /** Each event's position. The answer to an append says that of its last one only. */
  async function positionsOf(stream: string, first: number, count: number, last: bigint): Promise<Position[]> {
    const found: Position[] = []
    if (count > 1) {
      for await (const event of reader.stream(names.onServer(stream), first, count - 1)) {
        if (event !== 'absent' && event.position !== undefined) found.push(positions.at(event.position.commit))
      }
    }
    if (found.length !== count - 1) throw alarms.missing(stream, `of ${count} events appended after revision ${first - 1} some are not there`)
    return [...found, positions.at(last)]
  }

  return {
    clockSkewMs: clock.skewMs,
    async append(stream: string, expected: number, events: readonly Event[]): Promise<AppendResult> {
      const encoded = events.map((event) => codec.encode(event))
      if (encoded.length === 0) return { status: 'appended', positions: [] }
      await clock.check()
      const started = performance.now()
      const server = names.onServer(stream)
      const outcome = await appender.append(server, expected, encoded).catch((error: unknown) => {
        throw isType(error, 'stream-deleted') ? alarms.missing(stream, 'the stream is deleted for good') : error
      })
      if ('actual' in outcome) return { status: 'conflict', actual: outcome.actual }
      committed({ seconds: (performance.now() - started) / 1_000, events: events.length })
      const last = expected + events.length
      // A stream that was deleted is taken for empty, but its revisions go on.
      if (outcome.revision !== last) throw alarms.missing(stream, `what was appended after revision ${expected} stands at ${outcome.revision}: it was deleted before`)
      positions.rename(logNameIn(stream, events))
      await positions.named()
      positions.heads.saw(outcome.position)
      await compareClocks(server, last, outcome.span)
      return { status: 'appended', positions: await positionsOf(stream, expected + 1, events.length, outcome.position) }
    },
    close: () => appender.close(),
  }
}
