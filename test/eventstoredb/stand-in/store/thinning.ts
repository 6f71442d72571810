import { isDeleted } from './metadata.ts'
import type { Log } from './log.ts'
import { isMetadataStream, ticks } from './record.ts'
import type { StoredEvent } from './record.ts'

/** What a reader of a stream finds. `none`: it never was, or it is deleted. */
export type Shown =
  | { readonly status: 'none' }
  | { readonly status: 'tombstone' }
  /** `first` is the revision from which on events are shown. */
  | { readonly status: 'events'; readonly events: readonly StoredEvent[]; readonly first: bigint }

/** A stream as its metadata let it be seen at a time (ms since 1970). What they hide is in `$all` all the same. */
export function shownOf(log: Log, stream: string, nowMs: number): Shown {
  if (log.shownTombstone(stream) !== undefined) return { status: 'tombstone' }
  const events = log.shown(stream)
  if (events === undefined) return { status: 'none' }
  // Of a metadata stream, only the last event counts and is shown.
  const metadata = isMetadataStream(stream) ? { maxCount: 1n } : log.metadata(stream)
  if (isDeleted(metadata)) return { status: 'none' }
  const next = BigInt(events.length)
  const bounds = [0n]
  if (metadata.truncateBefore !== undefined) bounds.push(metadata.truncateBefore)
  if (metadata.maxCount !== undefined) bounds.push(next - metadata.maxCount)
  if (metadata.maxAgeSeconds !== undefined) bounds.push(firstSince(events, ticks(nowMs - Number(metadata.maxAgeSeconds) * 1000)))
  return { status: 'events', events, first: bounds.reduce((one, other) => (one > other ? one : other)) }
}

function firstSince(events: readonly StoredEvent[], created: bigint): bigint {
  const index = events.findIndex((event) => event.created >= created)
  return BigInt(index === -1 ? events.length : index)
}
