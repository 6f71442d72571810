import { MAX_SKEW_MS, clockError } from '../../../ports/event-log.ts'

/** How often the server's clock is looked at, at most: it costs a read. */
const EVERY_MS = 10_000
/** How often it is asked again while the clocks are apart: it costs an event outside of the lanes. */
const AGAIN_MS = 1_000

/** When an append was first sent and when it was answered, by this machine's clock that only goes forwards. */
export type Span = { readonly sentAt: number; readonly answeredAt: number }

export type Clock = ReturnType<typeof createClock>

/**
 * This machine's clock beside the log server's, which is seen by when it says that an event was created. What is kept is the server's
 * time beside a clock that nobody sets: so this machine's being set, wrong or right, shows at once.
 *
 * `probe` asks for the server's time anew.
 */
export function createClock(probe: () => Promise<{ readonly created: Date; readonly span: Span }>, now: () => number) {
  let offsetMs: number | undefined
  let lookedAt = -Infinity
  let probedAt = -Infinity

  const skewMs = (): number => (offsetMs === undefined ? 0 : offsetMs + performance.now() - now())

  /** Created between sending and answer, as far as this machine knows: what lies outside is the clocks' difference. */
  function saw(created: Date, { sentAt, answeredAt }: Span): void {
    lookedAt = performance.now()
    const wall = now() - lookedAt
    const time = created.getTime()
    // `created` is cut off to a millisecond.
    const within = Math.min(Math.max(time, Math.floor(sentAt + wall)), answeredAt + wall)
    offsetMs = time - within + wall
  }

  return {
    skewMs,
    saw,
    /** Whether the server's clock was ever looked at. */
    isKnown: (): boolean => offsetMs !== undefined,
    /** Whether it is time to look at when an event of ours was created. */
    due: (): boolean => performance.now() - lookedAt >= EVERY_MS,
    /** Throws a ClockError where the clocks are apart. Clocks that were put right are found so. */
    async check(): Promise<void> {
      if (Math.abs(skewMs()) <= MAX_SKEW_MS) return
      if (performance.now() - probedAt >= AGAIN_MS) {
        probedAt = performance.now()
        const { created, span } = await probe()
        saw(created, span)
      }
      const skew = skewMs()
      if (Math.abs(skew) > MAX_SKEW_MS) throw clockError(skew)
    },
  }
}
