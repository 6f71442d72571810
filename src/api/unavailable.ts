import { LogUnavailableError } from '../commands/activity/batches.ts'
import { ContentionError } from '../commands/handle.ts'
import { ClockError } from '../ports/event-log.ts'
import { isPassing } from '../projections/passing.ts'

/** Whether a request failed since the log or Postgres is away: it may be tried again. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof LogUnavailableError || error instanceof ClockError || error instanceof ContentionError) return true
  if (error instanceof DOMException && (error.name === 'TimeoutError' || error.name === 'AbortError')) return true
  return isPassing(error)
}
