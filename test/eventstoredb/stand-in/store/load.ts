import { parseRecords } from './line.ts'
import type { Log } from './log.ts'
import type { Segment } from './terms.ts'

/** Adds what stands in files to the log, and reveals it. */
export function load(log: Log, segments: readonly Segment[]): void {
  for (const { contents } of segments) for (const content of contents) log.add(parseRecords(content))
  log.reveal()
}
