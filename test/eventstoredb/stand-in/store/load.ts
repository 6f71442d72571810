import { parseRecords } from './line.ts'
import type { Log } from './log.ts'

/** Adds what the lines of files hold to the log, and reveals it. */
export function load(log: Log, contents: readonly unknown[]): void {
  for (const content of contents) log.add(parseRecords(content))
  log.reveal()
}
