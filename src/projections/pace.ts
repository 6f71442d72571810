import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

/** How far the trail may fall behind a storm of pulls. No answer rests on it but those of the trail itself. */
export const TRAIL_PACE = { gatherMs: 100, patienceMs: 10_000 }

/** Above this share of its time, the process has no time to spare. */
const BUSY = 0.5

/**
 * When what nobody waits for folds again: after `gatherMs`, so that a batch is worth its transaction, and while the process is busy
 * with requests not before `patienceMs` have passed. So it falls behind in a storm, within that bound, and catches up after.
 */
export function createPace({ gatherMs, patienceMs }: { readonly gatherMs: number; readonly patienceMs: number }) {
  return async function wait(signal: AbortSignal): Promise<void> {
    const started = performance.now()
    let before = performance.eventLoopUtilization()
    do {
      await sleep(gatherMs, undefined, { signal }).catch(() => undefined)
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      if (utilization < BUSY) return
    } while (!signal.aborted && performance.now() - started < patienceMs)
  }
}

export type Pace = ReturnType<typeof createPace>
