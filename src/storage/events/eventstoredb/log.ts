import { ANY, jsonEvent } from '@eventstore/db-client'
import type { AllStreamRecordedEvent, Position as ServerPosition, RecordedEvent } from '@eventstore/db-client'
import type { AppendResult, Delivery, EventCodec, EventLog, From, Resolved } from '../../../ports/event-log.ts'
import type { Recorded } from '../../../ports/event.ts'
import { parsePosition, position, positionLog, positionNumber } from '../../../ports/position.ts'
import type { Position } from '../../../ports/position.ts'
import { laneOf, streams } from '../../../ports/streams.ts'
import type { Lane } from '../../../ports/streams.ts'
import { logNameIn } from '../naming.ts'
import { orAborted } from '../or-aborted.ts'
import { createAlarms, ofMetadata } from './alarms.ts'
import type { Alarm } from './alarms.ts'
import { createAppender } from './appender.ts'
import { LogClient } from './client.ts'
import type { ServerSettings } from './client.ts'
import { createClock } from './clock.ts'
import type { Span } from './clock.ts'
import { createConnection } from './connection.ts'
import type { RetryObserver } from './connection.ts'
import { createFollower } from './follow.ts'
import { createHeads } from './heads.ts'
import { createNames } from './names.ts'
import { createPatience } from './patience.ts'
import { createReader } from './reader.ts'
import { fromServer } from './server-events.ts'
import { isType } from './verdict.ts'

/** A page ends where the next event is not there yet, or with the one that reaches either bound. */
const PAGE_BYTES = 4_000_000
const PAGE_EVENTS = 2_000
const MARKER_MS = 1_000
/** How often the leader is asked for the head while others' events go by, and how long its answer keeps a subscription from its events. */
const HEAD_AGE_MS = 100
const HEAD_WAIT_MS = 50
/** How long reads are tried in vain, and how long a position is looked for beyond the head: a new leader may be behind for a moment. */
const PATIENCE_MS = 10_000
const PROBE_MS = 3_000

export type LogObserver = {
  readonly committed: (commit: { readonly seconds: number; readonly events: number }) => void
  readonly retried: RetryObserver
  readonly alarmed: (alarm: Alarm) => void
}

export type EventStoreSettings = ServerSettings & { readonly space: string }

export type EventStoreLog = EventLog & {
  /** The log's clock minus this machine's, as what was last seen of both says. */
  clockSkewMs(): number
  /** `host:port` of the node that is asked, which leads; undefined while there is none. */
  leader(): string | undefined
}

/** A number that stands between two events, or before the first. */
class NoPositionError extends Error {
  override readonly name = 'NoPositionError'
}

/**
 * The log on EventStoreDB: a lane is a prefix of stream names, a position the commit position of an event in $all.
 * docs/eventstoredb.md says what the server does, and which of its ways this stands on.
 */
export async function openEventStoreLog(settings: EventStoreSettings, codec: EventCodec, observer: LogObserver): Promise<EventStoreLog> {
  const names = createNames(settings.space)
  const connection = createConnection((leader) => new LogClient(settings, leader))
  const reader = createReader(connection, observer.retried)
  const appender = createAppender(connection, observer.retried)
  const follow = createFollower(connection, observer.retried)
  const alarms = createAlarms(names, observer.alarmed)
  const clock = createClock(probe)
  const heads = createHeads(async () => {
    for await (const { position: at } of reader.backwards(1)) return at.commit
    return undefined
  })
  let name = await readName()

  async function readName(): Promise<string | undefined> {
    const named = await reader.lastOf(names.onServer(streams.log))
    return named === undefined ? undefined : logNameIn(streams.log, [fromServer(named, codec).event])
  }

  const at = (commit: bigint): Position => {
    if (name === undefined) throw new Error('the first append to a log names it (LogNamed)')
    return position(name, commit)
  }

  /** The head of a log that has a name. Another process may have named it since it was opened here. */
  async function queryHead(): Promise<bigint | undefined> {
    name ??= await readName()
    return name === undefined ? undefined : heads.fresh()
  }

  function recorded(event: RecordedEvent, stream: string): Recorded & { readonly sizeBytes: number } {
    if (event.position === undefined) throw new Error(`the server gave an event of ${stream} no position`)
    return { ...fromServer(event, codec), stream, revision: Number(event.revision), position: at(event.position.commit) }
  }

  /** What a stream's events before `count` got, which the answer to an append says of its last one only. */
  async function positionsOf(stream: string, first: number, count: number, last: bigint): Promise<Position[]> {
    const positions: Position[] = []
    if (count > 1) {
      for await (const event of reader.stream(names.onServer(stream), first, count - 1)) {
        if (event !== 'absent' && event.position !== undefined) positions.push(at(event.position.commit))
      }
    }
    positions.push(at(last))
    if (positions.length !== count) throw alarms.missing(stream, `${count} events were appended after revision ${first - 1}, ${positions.length} are there`)
    return positions
  }

  /** Looks at when an event of ours was created. */
  async function look(server: string, revision: number, span: Span): Promise<void> {
    for await (const event of reader.stream(server, revision, 1)) if (event !== 'absent') clock.saw(event.created, span)
  }

  /** The server's time can only be had from an event; this one stands outside of the lanes. */
  async function probe(): Promise<{ readonly created: Date; readonly span: Span }> {
    const sentAt = performance.now()
    const event = jsonEvent({ type: 'ClockRead', data: {} })
    const { nextExpectedRevision } = await connection.ask(PROBE_MS, (client) => client.appendToStream(names.clock, event, { expectedRevision: ANY, deadline: PROBE_MS }))
    const span = { sentAt, answeredAt: performance.now() }
    for await (const stored of reader.stream(names.clock, Number(nextExpectedRevision), 1)) if (stored !== 'absent') return { created: stored.created, span }
    throw new Error('the server does not show what it has just written')
  }

  async function append(stream: string, expected: number, events: Parameters<EventLog['append']>[2]): Promise<AppendResult> {
    const encoded = events.map((event) => codec.encode(event))
    await clock.check()
    const started = performance.now()
    const outcome = await appender.append(names.onServer(stream), expected, encoded).catch((error: unknown) => {
      throw isType(error, 'stream-deleted') ? alarms.missing(stream, 'the stream is deleted for good') : error
    })
    if ('actual' in outcome) return { status: 'conflict', actual: outcome.actual }
    observer.committed({ seconds: (performance.now() - started) / 1_000, events: events.length })
    const last = expected + events.length
    if (outcome.revision !== last) throw alarms.missing(stream, `what was appended after revision ${expected} stands at ${outcome.revision}: the stream was deleted before`)
    name = logNameIn(stream, events) ?? name
    heads.saw(outcome.position)
    if (clock.due()) {
      const looked = look(names.onServer(stream), last, outcome.span)
      // The first of a process is waited for: what comes after it is written by a clock that was looked at.
      if (clock.isKnown()) looked.catch(() => undefined)
      else await looked
    }
    return { status: 'appended', positions: await positionsOf(stream, expected + 1, events.length, outcome.position) }
  }

  async function* readStream(stream: string, after: number): AsyncGenerator<Recorded> {
    const server = names.onServer(stream)
    let next = after + 1
    try {
      for await (const event of reader.stream(server, next)) {
        if (event === 'absent') {
          await checkAbsent(stream)
          return
        }
        if (Number(event.revision) !== next) throw alarms.missing(stream, `its events before revision ${event.revision.toString()} are gone`)
        next += 1
        name ??= await readName()
        yield recorded(event, stream)
      }
    } catch (error) {
      throw isType(error, 'stream-deleted') ? alarms.missing(stream, 'the stream is deleted for good') : error
    }
  }

  /** A stream that was deleted is shown as one that never was. */
  async function checkAbsent(stream: string): Promise<void> {
    const metadata = await reader.lastOf(names.metadataOf(stream))
    if (metadata === undefined || ofMetadata(metadata.data) === 'metadata') return
    alarms.met(metadata)
    throw alarms.missing(stream, 'its events are gone: it was deleted or truncated')
  }

  const belongsTo = (lanes: readonly Lane[], stream: string | undefined): stream is string => stream !== undefined && lanes.includes(laneOf(stream))

  /** The event at a position of this log. A number that the log did not give is refused, by the server or here. */
  async function eventAt(given: Position): Promise<AllStreamRecordedEvent> {
    const server = serverPosition(given)
    try {
      for await (const event of reader.forwards(server, 1)) if (event.position.commit === server.commit) return event
    } catch (error) {
      if (!(error instanceof Error && /InvalidPosition/.test(error.message))) throw error
    }
    throw new NoPositionError(`${given} is no position that the log gave`)
  }

  /** What a reading begins after, and the event that it begins with. */
  async function startOf(from: From, lanes: readonly Lane[]): Promise<{ readonly after?: ServerPosition; readonly first?: Recorded }> {
    if (from === 'start') return {}
    const given = 'after' in from ? from.after : from.at
    name ??= await readName()
    if (positionLog(given) !== name) throw new Error(`${given} is a position of another log than ${name ?? 'this one'}`)
    const after = serverPosition(given)
    await checkReached(given, after.commit)
    if ('after' in from) return { after }
    const event = await eventAt(given)
    const stream = names.ofServer(event.streamId)
    return belongsTo(lanes, stream) && !alarms.met(event) ? { after, first: recorded(event, stream) } : { after }
  }

  /** The server takes a position beyond its end, and would give nothing for ever. */
  async function checkReached(given: Position, commit: bigint): Promise<void> {
    const patience = createPatience(PATIENCE_MS)
    while (heads.known() < commit) {
      const head = await heads.fresh()
      if (head !== undefined && head >= commit) return
      await patience.pause(new Error(`${given} is beyond the head of the log`))
    }
  }

  async function* readAll(lanes: readonly Lane[], from: From): AsyncGenerator<Recorded> {
    const { after, first } = await startOf(from, lanes)
    const end = await queryHead()
    if (first !== undefined) yield first
    if (end === undefined || (after !== undefined && after.commit >= end)) return
    const { signal } = new AbortController()
    for await (const passed of follow({ prefixes: names.prefixesOf(lanes), after, signal, patienceMs: PATIENCE_MS, head: () => end })) {
      if (passed.kind === 'drained') continue
      const commit = passed.kind === 'event' ? passed.event.position.commit : passed.commit
      if (passed.kind === 'event' && commit <= end && !alarms.met(passed.event)) {
        const stream = names.ofServer(passed.event.streamId)
        if (stream !== undefined) yield recorded(passed.event, stream)
      }
      if (commit >= end) return
    }
  }

  async function* subscribe(lanes: readonly Lane[], from: From, signal: AbortSignal): AsyncGenerator<Delivery> {
    const { after, first } = await startOf(from, lanes)
    if (first !== undefined) yield { kind: 'event', recorded: first }
    let delivered = after?.commit ?? -1n
    /** The last event since the last marker, and what came with it. */
    let page: { last: bigint; bytes: number; events: number } | undefined
    let marked = first === undefined ? delivered : -1n
    let markedAt = -Infinity
    const marker = (commit: bigint): Delivery => {
      page = undefined
      marked = commit
      markedAt = performance.now()
      return { kind: 'marker', position: at(commit) }
    }

    for await (const passed of follow({ prefixes: names.prefixesOf(lanes), after, signal, patienceMs: Infinity, head: heads.known })) {
      if (passed.kind === 'reached') {
        delivered = passed.commit
        continue
      }
      if (passed.kind === 'event') {
        const { event } = passed
        delivered = event.position.commit
        heads.saw(delivered)
        const stream = names.ofServer(event.streamId)
        if (alarms.met(event) || stream === undefined) continue
        name ??= await readName()
        const given = recorded(event, stream)
        yield { kind: 'event', recorded: given }
        page = { last: delivered, bytes: (page?.bytes ?? 0) + given.sizeBytes, events: (page?.events ?? 0) + 1 }
        if (page.bytes >= PAGE_BYTES || page.events >= PAGE_EVENTS) yield marker(page.last)
        continue
      }
      if (page !== undefined) yield marker(page.last)
      const quiet = performance.now() - markedAt >= MARKER_MS
      if (!quiet && delivered <= marked) continue
      // The position of a checkpoint need not be an event's. The last event of all is one, and if it was passed, so was all before it.
      const head = await heads.recent(HEAD_AGE_MS, HEAD_WAIT_MS)
      if (head >= 0n && head <= delivered && (quiet || head > marked)) {
        name ??= await readName()
        if (name !== undefined) yield marker(head)
      }
    }
  }

  return {
    append(stream, expected, events, signal) {
      return orAborted(
        Promise.resolve().then(() => {
          signal?.throwIfAborted()
          return append(stream, expected, events)
        }),
        signal,
      )
    },
    readStream,
    readAll,
    subscribe,
    async resolve(text): Promise<Resolved> {
      const given = parsePosition(text)
      if (given === undefined) return { status: 'refused', reason: `${text} is no position` }
      const head = await queryHead()
      if (positionLog(given) !== name) return { status: 'refused', reason: `${text} is a position of another log` }
      if (positionNumber(given) > (head ?? -1n)) return { status: 'refused', reason: `${text} is beyond the head of the log` }
      try {
        await eventAt(given)
        return { status: 'resolved', position: given }
      } catch (error) {
        if (error instanceof NoPositionError) return { status: 'refused', reason: error.message }
        throw error
      }
    },
    async head() {
      const head = await queryHead()
      return head === undefined ? undefined : at(head)
    },
    async fromLast(count): Promise<From> {
      const head = await queryHead()
      if (head === undefined) return 'start'
      if (count === 0) return { after: at(head) }
      let left = count
      for await (const { streamId, position: found } of reader.backwards(Number.MAX_SAFE_INTEGER)) {
        if (names.ofServer(streamId) !== undefined) left -= 1
        if (left === 0) return { at: at(found.commit) }
      }
      return 'start'
    },
    clockSkewMs: clock.skewMs,
    leader: connection.node,
    async close() {
      await appender.close()
      connection.close()
    },
  }
}

/** Commit and prepare position are the same of every event that is appended over gRPC (measured). */
function serverPosition(given: Position): ServerPosition {
  const number = positionNumber(given)
  return { commit: number, prepare: number }
}
