import type { EventLog } from './event-log.ts'
import { parsePosition } from './position.ts'
import type { Position } from './position.ts'
import { parseTime } from './time.ts'

/** Where a question about the past begins, ends or stands; or why it cannot, in words that follow the name of what was given. */
export type Bound = { readonly at: Position | Date } | { readonly refused: true; readonly reason: string }

/** What somebody gave that is a position, which must be one of this log, or a time (RFC 3339). */
export async function boundOf(log: Pick<EventLog, 'resolve'>, text: string): Promise<Bound> {
  if (parsePosition(text) === undefined) {
    const at = parseTime(text)
    return at === undefined ? { refused: true, reason: `${text} is neither a time, such as 2026-11-01T12:00:00Z, nor a position` } : { at }
  }
  const resolved = await log.resolve(text)
  return resolved.status === 'resolved' ? { at: resolved.position } : { refused: true, reason: resolved.reason }
}
