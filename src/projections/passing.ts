import pg from 'pg'
import { LogAwayError } from '../ports/event-log.ts'

/** Whether an error is of the connection to Postgres or to the log, or of their state, and so passes. */
export function isPassing(error: unknown): boolean {
  if (error instanceof LogAwayError) return true
  if (error instanceof pg.DatabaseError) return /^(08|57|58|53|40)/.test(error.code ?? '')
  return (
    error instanceof Error &&
    (('code' in error && typeof error.code === 'string' && /^(ECONN|EPIPE|ENOENT|ETIMEDOUT)/.test(error.code)) ||
      /connection terminated|not queryable|timeout|client was closed/i.test(error.message))
  )
}
