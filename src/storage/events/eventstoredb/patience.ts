import { setTimeout as sleep } from 'node:timers/promises'
import { LogAwayError } from '../../../ports/event-log.ts'

const FIRST_PAUSE_MS = 50
/** As long as a call may sleep on after another node has begun to lead. */
const MAX_PAUSE_MS = 500

export type Patience = ReturnType<typeof createPatience>

/** Pauses between tries, each twice the one before, until something comes of one or the time is over. */
export function createPatience(totalMs: number) {
  let failures = 0
  let failingSince = 0
  return {
    /** Something came: what fails next is a first failure. */
    progressed(): void {
      failures = 0
    },
    /** Waits before the next try; an abort ends the wait. Throws a LogAwayError where all failed for too long. */
    async pause(cause: unknown, signal?: AbortSignal): Promise<void> {
      if (failures === 0) failingSince = performance.now()
      if (performance.now() - failingSince > totalMs) throw new LogAwayError('the log gives no answer', { cause })
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS)
      failures += 1
      await sleep(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
    },
  }
}
