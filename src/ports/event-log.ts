import type { Event, Recorded } from './event.ts'
import type { Position } from './position.ts'
import type { Lane } from './streams.ts'

export type AppendResult =
  | { readonly status: 'appended'; readonly positions: readonly Position[] }
  /** The stream stands at another revision, and the events are not those that stand there. */
  | { readonly status: 'conflict'; readonly actual: number }

export type From = 'start' | { readonly after: Position } | { readonly at: Position }

/** A marker says: every event of the lanes up to this position has been handed over. */
export type Delivery =
  | { readonly kind: 'event'; readonly recorded: Recorded }
  | { readonly kind: 'marker'; readonly position: Position }

export type Resolved =
  | { readonly status: 'resolved'; readonly position: Position }
  | { readonly status: 'refused'; readonly reason: string }

/** An event that breaks its schema or a size bound, or that this release does not know. */
export class EventError extends Error {
  override readonly name = 'EventError'
}

/** Further apart than this, this machine's clock and the log server's, nothing is written. */
export const MAX_SKEW_MS = 5_000

/** This machine's clock and the log server's are too far apart to write. */
export class ClockError extends Error {
  override readonly name = 'ClockError'
}

/** `skewMs`: the log's clock minus this machine's. */
export function clockError(skewMs: number): ClockError {
  return new ClockError(`this machine's clock is ${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? 'behind' : 'ahead of'} the log's`)
}

/** The log is away, or elects who leads it: what was asked may be asked again. */
export class LogAwayError extends Error {
  override readonly name = 'LogAwayError'
}

/** Bounds on every adapter alike, in bytes of canonical text: a log must be movable from any adapter to any other. */
export const MAX_EVENT_BYTES = 256_000
export const MAX_APPEND_BYTES = 1_000_000

/**
 * The log: streams of events, and one order over all of them.
 * One event has one position and one revision; a stream's first event has revision 0, and an empty stream is expected at -1.
 */
export interface EventLog {
  /**
   * Appends all of the events or none, if the stream stands at revision `expected`. Answers only once the outcome is known: a
   * repeat of the same ids at the same revision gets the positions of the first. An aborted signal frees the caller and leaves
   * the outcome unknown to it.
   */
  append(stream: string, expected: number, events: readonly Event[], signal?: AbortSignal): Promise<AppendResult>
  /** A stream's events after a revision (-1: all), in order. */
  readStream(stream: string, after: number): AsyncIterable<Recorded>
  /** The lanes' events in the order of the log, up to its head as it was at the call. */
  readAll(lanes: readonly Lane[], from: From): AsyncIterable<Recorded>
  /** As `readAll`, without an end. Markers come after each page, at the head, and at least once a second. Ends when the signal aborts. */
  subscribe(lanes: readonly Lane[], from: From, signal: AbortSignal): AsyncIterable<Delivery>
  /** A position that came from outside: refused where it is of another log, beyond the head, or no position. */
  resolve(text: string): Promise<Resolved>
  /** The position of the last event, or undefined while the log is empty. */
  head(): Promise<Position | undefined>
  /** Where to read from for the log's last `count` events, or some more. */
  fromLast(count: number): Promise<From>
  close(): Promise<void>
}

/** An event's canonical text (RFC 8785), its bytes counted, and sha256 over it. */
export type EncodedEvent = { readonly id: string; readonly text: string; readonly sizeBytes: number; readonly hash: Buffer }

/** What the adapters need to know of events: handed to them by main. */
export interface EventCodec {
  /** Throws an EventError for an event that breaks its schema or is too large. */
  encode(event: Event): EncodedEvent
  /** Checks the hash (lower-case hex), then the schema, then upcasts. Throws an EventError, also for an unknown type. */
  decode(text: string, hash: string): Event
  /** As `decode`, of an event that is kept as a JSON value, whatever the order of its keys, and the bytes of its canonical text. */
  decodeValue(value: unknown, hash: string): { readonly event: Event; readonly sizeBytes: number }
}
