import type { RecordedEvent } from '@eventstore/db-client'
import type { Delivery, EventCodec, From } from '../../../ports/event-log.ts'
import type { Recorded } from '../../../ports/event.ts'
import { REQUEST_PATIENCE_MS } from '../../../ports/patience.ts'
import { laneOf } from '../../../ports/streams.ts'
import type { Lane } from '../../../ports/streams.ts'
import { ofMetadata } from './alarms.ts'
import type { Alarms } from './alarms.ts'
import type { Follower } from './follow.ts'
import type { Names } from './names.ts'
import type { Positions } from './positions.ts'
import type { Reader } from './reader.ts'
import { fromServer } from './server-events.ts'
import { isType } from './verdict.ts'

/** A page ends where the next event is not there yet, or with the one that reaches either bound. */
const PAGE_BYTES = 4_000_000
const PAGE_EVENTS = 2_000
const MARKER_MS = 1_000
/** How often the leader is asked for the head while others' events go by, and how long its answer keeps a subscription from its events. */
const HEAD_AGE_MS = 100
const HEAD_WAIT_MS = 50

type Given = Recorded & { readonly sizeBytes: number }

/** Streams, lanes and subscriptions, as the port has them. */
export function createReading(options: {
  readonly reader: Reader
  readonly follow: Follower
  readonly names: Names
  readonly codec: EventCodec
  readonly positions: Positions
  readonly alarms: Alarms
}) {
  const { reader, follow, names, codec, positions, alarms } = options
  const subscriptions = new Set<{ readonly lanes: string; passed: bigint }>()

  async function recorded(event: RecordedEvent, stream: string): Promise<Given> {
    if (event.position === undefined) throw new Error(`the server gave an event of ${stream} no position`)
    await positions.named()
    return { ...fromServer(event, codec), stream, revision: Number(event.revision), position: positions.at(event.position.commit) }
  }

  /** An event of the lanes, or undefined: of another lane, of the server, or one that tells of tampering, which is raised. */
  async function ofLanes(event: RecordedEvent, lanes: readonly Lane[]): Promise<Given | undefined> {
    const stream = names.ofServer(event.streamId)
    return alarms.met(event) || stream === undefined || !lanes.includes(laneOf(stream)) ? undefined : recorded(event, stream)
  }

  /** A stream that was deleted is shown as one that never was. */
  async function checkAbsent(stream: string): Promise<void> {
    const metadata = await reader.lastOf(names.metadataOf(stream))
    if (metadata === undefined || ofMetadata(metadata.data) === 'metadata') return
    alarms.met(metadata)
    throw alarms.missing(stream, 'its events are gone: it was deleted or truncated')
  }

  async function* readStream(stream: string, after: number): AsyncGenerator<Recorded> {
    let next = after + 1
    try {
      for await (const event of reader.stream(names.onServer(stream), next)) {
        if (event === 'absent') {
          await checkAbsent(stream)
          return
        }
        if (Number(event.revision) !== next) throw alarms.missing(stream, `its events before revision ${event.revision.toString()} are gone`)
        next += 1
        yield await recorded(event, stream)
      }
    } catch (error) {
      throw isType(error, 'stream-deleted') ? alarms.missing(stream, 'the stream is deleted for good') : error
    }
  }

  async function* readAll(lanes: readonly Lane[], from: From): AsyncGenerator<Recorded> {
    const { after, first } = await positions.startOf(from)
    const end = await positions.heads.fresh()
    const begun = first === undefined ? undefined : await ofLanes(first, lanes)
    if (begun !== undefined) yield begun
    if (end === undefined || (after !== undefined && after.commit >= end)) return
    const { signal } = new AbortController()
    for await (const passed of follow({ prefixes: names.prefixesOf(lanes), after, signal, patienceMs: REQUEST_PATIENCE_MS, head: () => end })) {
      if (passed.kind === 'drained') continue
      const commit = passed.kind === 'event' ? passed.event.position.commit : passed.commit
      const given = passed.kind === 'event' && commit <= end ? await ofLanes(passed.event, lanes) : undefined
      if (given !== undefined) yield given
      if (commit >= end) return
    }
  }

  async function* subscribe(lanes: readonly Lane[], from: From, signal: AbortSignal): AsyncGenerator<Delivery> {
    const { heads } = positions
    const { after, first } = await positions.startOf(from)
    /** Every event up to here has been handed over. */
    const state = { lanes: lanes.join('+'), passed: after?.commit ?? -1n }
    /** The last event since the last marker, and what came with it. */
    let page: { readonly last: bigint; readonly bytes: number; readonly events: number } | undefined
    let marked = -1n
    let markedAt = -Infinity
    const marker = (commit: bigint): Delivery => {
      page = undefined
      marked = commit
      markedAt = performance.now()
      return { kind: 'marker', position: positions.at(commit) }
    }
    const begun = first === undefined ? undefined : await ofLanes(first, lanes)
    if (begun !== undefined) yield { kind: 'event', recorded: begun }

    subscriptions.add(state)
    try {
      for await (const passed of follow({ prefixes: names.prefixesOf(lanes), after, signal, patienceMs: Infinity, head: heads.known })) {
        if (passed.kind === 'reached') {
          state.passed = passed.commit
          continue
        }
        if (passed.kind === 'event') {
          const { commit } = passed.event.position
          heads.saw(commit)
          const given = await ofLanes(passed.event, lanes)
          if (given !== undefined) {
            yield { kind: 'event', recorded: given }
            page = { last: commit, bytes: (page?.bytes ?? 0) + given.sizeBytes, events: (page?.events ?? 0) + 1 }
          }
          state.passed = commit
          if (page !== undefined && (page.bytes >= PAGE_BYTES || page.events >= PAGE_EVENTS)) yield marker(page.last)
          continue
        }
        if (page !== undefined) yield marker(page.last)
        const quiet = performance.now() - markedAt >= MARKER_MS
        if (!quiet && state.passed <= marked) continue
        // The position of a checkpoint need not be an event's. The last event of all has one, and where that was passed, so was all before it.
        const head = await heads.recent(HEAD_AGE_MS, HEAD_WAIT_MS)
        const proved = head >= 0n && head <= state.passed && (quiet || head > marked)
        if (proved && (await positions.named()) !== undefined) yield marker(head)
      }
    } finally {
      subscriptions.delete(state)
    }
  }

  /** How many bytes of the log the subscriptions have not passed yet, by their lanes: of several, the one that is furthest behind. */
  function behind(): ReadonlyMap<string, number> {
    const found = new Map<string, number>()
    for (const { lanes, passed } of subscriptions) {
      const bytes = Number(positions.heads.known()) - Math.max(0, Number(passed))
      found.set(lanes, Math.max(0, bytes, found.get(lanes) ?? 0))
    }
    return found
  }

  return { readStream, readAll, subscribe, behind }
}
