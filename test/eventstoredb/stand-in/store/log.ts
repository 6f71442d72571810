import { isDeleted, parseMetadata } from './metadata.ts'
import type { StreamMetadata } from './metadata.ts'
import { NO_STREAM } from './expected.ts'
import { createRecentIds } from './recent-ids.ts'
import type { RecentIds } from './recent-ids.ts'
import { TOMBSTONE_TYPE, isMetadataStream, metadataStreamOf, sizeOnDisk, streamOfMetadata } from './record.ts'
import type { LogRecord, StoredEvent } from './record.ts'

/** The events of a stream by their revision; the tombstone, whose revision is out of the row, stands beside them. */
type Stream = { readonly events: StoredEvent[]; tombstone: StoredEvent | undefined }

/**
 * The log in memory. What is added is seen by the next decision at once, and by readers only when it is revealed: that is, when it is
 * on the disk.
 */
export type Log = {
  /** All events in the order of the log; the first `visible` of them may be shown. */
  readonly events: readonly StoredEvent[]
  readonly visible: number
  /** Where the next record goes. */
  readonly end: bigint
  /** The position of the last record that may be shown, -1 while there is none. */
  readonly lastPosition: bigint
  readonly recentIds: RecentIds
  add(records: readonly LogRecord[]): void
  reveal(): void
  /** Calls back with each event when it is revealed, until the function that it returns is called. */
  follow(listener: (event: StoredEvent) => void): () => void
  /** The index of the first event at or after a position, among those that may be shown. */
  indexAt(position: bigint): number
  /** Whether a record begins at a position; beyond the last record any position will do. */
  isPlace(position: bigint): boolean
  /** The last revision that a decision builds on, -1 without any. Those of a stream with a tombstone are over. */
  lastRevision(stream: string): bigint
  hasTombstone(stream: string): boolean
  /** The event at a revision, also when it may not be shown yet. */
  at(stream: string, revision: bigint): StoredEvent | undefined
  /** What the metadata event that was added last says. */
  metadata(stream: string): StreamMetadata
  rawMetadata(stream: string): Uint8Array | undefined
  /** A stream's events that may be shown, thinned or not; undefined for a stream that never had any. */
  shown(stream: string): readonly StoredEvent[] | undefined
  /** The tombstone, if it may be shown. */
  shownTombstone(stream: string): StoredEvent | undefined
}

export function createLog(): Log {
  const events: StoredEvent[] = []
  const streams = new Map<string, Stream>()
  /** Where appends of no events stand. */
  const emptyPlaces = new Set<bigint>()
  const recentIds = createRecentIds()
  const listeners = new Set<(event: StoredEvent) => void>()
  let end = 0n
  let last = -1n
  let visible = 0
  let visibleEnd = 0n
  let visibleLast = -1n

  function addOne(record: LogRecord): void {
    if (record.position < end) throw new Error(`a record at ${record.position}, where another stands`)
    last = record.position
    end = record.position + sizeOnDisk(record)
    if (record.kind === 'empty') {
      emptyPlaces.add(record.position)
      return
    }
    events.push(record)
    const stream = streams.get(record.stream) ?? { events: [], tombstone: undefined }
    streams.set(record.stream, stream)
    if (record.type === TOMBSTONE_TYPE) stream.tombstone = record
    else stream.events.push(record)
    recentIds.add(record.id, { stream: record.stream, revision: record.revision })
  }

  function indexAt(position: bigint): number {
    let low = 0
    let high = visible
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((events[middle]?.position ?? end) < position) low = middle + 1
      else high = middle
    }
    return low
  }

  function hasTombstone(stream: string): boolean {
    if (streams.get(stream)?.tombstone !== undefined) return true
    return isMetadataStream(stream) && hasTombstone(streamOfMetadata(stream))
  }

  const rawMetadata = (stream: string): Uint8Array | undefined => streams.get(metadataStreamOf(stream))?.events.at(-1)?.data

  return {
    events,
    recentIds,
    get visible() {
      return visible
    },
    get end() {
      return end
    },
    get lastPosition() {
      return visibleLast
    },
    add(records) {
      records.forEach(addOne)
    },
    reveal() {
      const from = visible
      visible = events.length
      visibleEnd = end
      visibleLast = last
      for (let index = from; index < visible; index += 1) {
        const event = events[index]
        if (event !== undefined) for (const listener of listeners) listener(event)
      }
    },
    follow(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    indexAt,
    isPlace: (position) => position > visibleLast || events[indexAt(position)]?.position === position || emptyPlaces.has(position),
    lastRevision: (stream) => BigInt(streams.get(stream)?.events.length ?? 0) + NO_STREAM,
    hasTombstone,
    at: (stream, revision) => (revision < 0n ? undefined : streams.get(stream)?.events[Number(revision)]),
    metadata(stream) {
      const raw = rawMetadata(stream)
      return raw === undefined ? {} : parseMetadata(raw)
    },
    rawMetadata,
    shown(stream) {
      const all = streams.get(stream)?.events
      if (all === undefined) return undefined
      if ((all.at(-1)?.position ?? 0n) < visibleEnd) return all
      const shown = all.filter((event) => event.position < visibleEnd)
      return shown.length === 0 ? undefined : shown
    },
    shownTombstone(stream) {
      const tombstone = streams.get(stream)?.tombstone
      return tombstone !== undefined && tombstone.position < visibleEnd ? tombstone : undefined
    },
  }
}

/** Whether a stream is deleted in the way that it can come back from. */
export function isSoftDeleted(log: Log, stream: string): boolean {
  return isDeleted(log.metadata(stream))
}
