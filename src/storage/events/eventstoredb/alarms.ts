import type { RecordedEvent } from '@eventstore/db-client'
import type { Names } from './names.ts'

/** What somebody did to a stream of ours on the server, by which events are shown no more, or may go in the next scavenge. */
export type Tampering = 'tombstone' | 'deleted' | 'truncated' | 'metadata' | 'gone'

export type Alarm = { readonly tampering: Tampering; readonly stream: string; readonly detail: string }

export type Alarms = ReturnType<typeof createAlarms>

/** A stream's events were taken away on the server: what is read of it is not what was written. */
class TamperedError extends Error {
  override readonly name = 'TamperedError'
}

/** A tombstone's revision and a deleted stream's `$tb` are the largest number of 64 bits. */
const DELETED = 2 ** 53
/** So many are remembered, so as not to be raised again by each who reads the same part of the log. */
const MAX_KNOWN = 10_000

/**
 * An audit log is thinned by nobody unseen. Deleting a stream, setting how much of it is kept and everything else that changes its
 * metadata is itself an event, in the metadata stream or as a tombstone, and every subscription meets it.
 */
export function createAlarms(names: Names, raise: (alarm: Alarm) => void) {
  const known = new Set<string>()

  function once(key: string, alarm: Alarm): void {
    if (known.has(key)) return
    if (known.size >= MAX_KNOWN) known.clear()
    known.add(key)
    raise(alarm)
  }

  return {
    /** Whether an event is none of Varve's but tells of tampering, which is then raised. */
    met({ streamId, type, revision, data }: RecordedEvent): boolean {
      const owner = names.ofMetadata(streamId)
      if (owner !== undefined) {
        once(`${streamId} ${revision.toString()}`, { tampering: ofMetadata(data), stream: owner, detail: JSON.stringify(data) })
        return true
      }
      const stream = names.ofServer(streamId)
      if (stream === undefined || type !== '$streamDeleted') return false
      once(`${streamId} ${type}`, { tampering: 'tombstone', stream, detail: 'the stream is deleted for good' })
      return true
    },
    /** Raises that events are missing where a stream was read or appended to, and makes the error that says so. */
    missing(stream: string, detail: string): TamperedError {
      once(`${stream} ${detail}`, { tampering: 'gone', stream, detail })
      return new TamperedError(`${stream}: ${detail}`)
    },
  }
}

/** What a metadata event does to its stream. */
export function ofMetadata(data: unknown): Tampering {
  if (typeof data !== 'object' || data === null) return 'metadata'
  if ('$tb' in data) return Number(data.$tb) >= DELETED ? 'deleted' : 'truncated'
  return '$maxAge' in data || '$maxCount' in data ? 'truncated' : 'metadata'
}
