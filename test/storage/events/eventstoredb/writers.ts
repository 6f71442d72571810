import type { EventLog } from '../../../../src/ports/event-log.ts'
import { appended, newActivity, started } from './followed.ts'

const WRITERS = 16

/** Writers that append one event after the other, each once it has the answer to the last; what they were answered, and what they waited. */
export function write(log: EventLog) {
  const acknowledged: string[] = []
  let stopped = false
  let last = performance.now()
  let longestMs = 0
  const writers = Array.from({ length: WRITERS }, async () => {
    const stream = newActivity()
    for (let revision = -1; !stopped; revision += 1) {
      const event = started()
      await appended(log, stream, revision, [event])
      acknowledged.push(event.id)
      const now = performance.now()
      longestMs = Math.max(longestMs, now - last)
      last = now
    }
  })
  return {
    acknowledged,
    /** The longest time in which none of them was answered. */
    longestMs: () => longestMs,
    async stop(): Promise<void> {
      stopped = true
      await Promise.all(writers)
    },
  }
}
