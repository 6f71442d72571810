import type { AllStreamRecordedEvent, Position as ServerPosition } from '@eventstore/db-client'
import type { Connection, RetryObserver } from './connection.ts'
import { createPatience } from './patience.ts'
import { subscribeOnce } from './subscription.ts'
import type { Signal } from './subscription.ts'
import { EndedError, StalledError, verdictOn } from './verdict.ts'

/** What has been passed, in order. */
export type Passed =
  | { readonly kind: 'event'; readonly event: AllStreamRecordedEvent }
  /** Every event up to here was given. */
  | { readonly kind: 'reached'; readonly commit: bigint }
  /** There is nothing more at this moment. */
  | { readonly kind: 'drained' }

/** How long is waited before it is said again that there is nothing. */
const TICK_MS = 100
/** How long a subscription that is known to be behind, or is not confirmed, may give nothing. */
const STALL_MS = 5_000

export type Following = {
  readonly prefixes: string[]
  readonly after: ServerPosition | undefined
  readonly signal: AbortSignal
  /** Gives up with a LogAwayError after so long without anything. Infinity: never. */
  readonly patienceMs: number
  /** The commit position up to which the log is known to go, as far as anybody knows. */
  readonly head: () => bigint
}

export type Follower = ReturnType<typeof createFollower>

/** How far it has come, and how the next subscription goes on. */
type Place = { position: ServerPosition | undefined; phase: 'catching up' | 'live' }

const reachedBy = ({ position }: Place): bigint => position?.commit ?? -1n

/**
 * Events by prefixes of their streams' names, from a position on, each once and in order, over any number of subscriptions.
 *
 * It catches up through a wide window and then subscribes anew with a window of 1, which alone accounts for every event; where the
 * server says that this one fell behind, it catches up again.
 */
export function createFollower(connection: Connection, observe: RetryObserver) {
  /** What one subscription gives, until another is of more use, from the place that it moves. */
  async function* throughOne({ prefixes, signal, head }: Following, place: Place): AsyncGenerator<Passed> {
    const { client, retired, release } = await connection.lease()
    const subscription = subscribeOnce(client, prefixes, place.position, place.phase)
    // Since when it should have given something: that it is there, or what the log has beyond.
    let owesSince: number | undefined = performance.now()
    let confirmed = false
    try {
      while (!signal.aborted && !retired.aborted) {
        const signalled = subscription.take()
        if (signalled === undefined) {
          if (subscription.ended()) throw new EndedError('the server ended the subscription')
          yield { kind: 'drained' }
          owesSince = confirmed && head() <= reachedBy(place) ? undefined : (owesSince ?? performance.now())
          if (owesSince !== undefined && performance.now() - owesSince > STALL_MS) throw new StalledError('a subscription gives nothing')
          await subscription.changed(TICK_MS, signal)
          continue
        }
        owesSince = undefined
        confirmed = true
        const phase = phaseAfter(signalled, place)
        if (phase !== place.phase) {
          place.phase = phase
          return
        }
        const moved = movedBy(signalled, place)
        if (moved === undefined) continue
        place.position = moved.position
        yield moved.passed
      }
      // Another took the place of its client, whose node may be frozen.
      place.phase = 'catching up'
    } catch (error) {
      connection.retire(client, error)
      throw error
    } finally {
      subscription.close()
      release()
    }
  }

  return async function* follow(following: Following): AsyncGenerator<Passed> {
    const { after, signal, patienceMs } = following
    const patience = createPatience(patienceMs)
    const place: Place = { position: after, phase: 'catching up' }
    const ended = (): boolean => signal.aborted
    while (!ended()) {
      try {
        for await (const passed of throughOne(following, place)) {
          if (passed.kind !== 'drained') patience.progressed()
          yield passed
        }
      } catch (error) {
        const verdict = verdictOn(error)
        if (ended()) return
        if (verdict.kind !== 'again') throw error
        place.phase = 'catching up'
        observe({ what: 'subscription', reason: verdict.reason, error })
        await patience.pause(error, signal)
      }
    }
  }
}

function phaseAfter({ kind }: Signal, { phase }: Place): Place['phase'] {
  if (kind === 'caught up') return 'live'
  return kind === 'fell behind' ? 'catching up' : phase
}

/** Where a signal leads to; undefined where it leads nowhere. */
function movedBy(signalled: Signal, place: Place): { readonly position: ServerPosition; readonly passed: Passed } | undefined {
  if (signalled.kind === 'event') {
    const { event } = signalled
    const { position } = event
    // One that began beyond what a node knew gives again what was given.
    return position.commit <= reachedBy(place) ? undefined : { position, passed: { kind: 'event', event } }
  }
  if (signalled.kind !== 'checkpoint') return undefined
  const { position } = signalled
  // The first of a log stands at 0, before its first event.
  return position.commit <= reachedBy(place) || position.commit === 0n ? undefined : { position, passed: { kind: 'reached', commit: position.commit } }
}
