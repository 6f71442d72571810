import type { AllStreamRecordedEvent, Position as ServerPosition } from '@eventstore/db-client'
import type { Connection, RetryObserver } from './connection.ts'
import { createPatience } from './patience.ts'
import { subscribeOnce } from './subscription.ts'
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

/**
 * Events by prefixes of their streams' names, from a position on, each once and in order, over any number of subscriptions.
 *
 * It catches up through a wide window and then subscribes anew with a window of 1, which alone accounts for every event; where the
 * server says that this one fell behind, it catches up again.
 */
export function createFollower(connection: Connection, observe: RetryObserver) {
  return async function* follow({ prefixes, after, signal, patienceMs, head }: Following): AsyncGenerator<Passed> {
    const patience = createPatience(patienceMs)
    let phase: 'catching up' | 'live' = 'catching up'
    let from = after
    let reached = after?.commit ?? -1n
    const ended = (): boolean => signal.aborted

    while (!ended()) {
      try {
        const { client, retired, release } = await connection.lease()
        const subscription = subscribeOnce(client, prefixes, from, phase)
        // Since when it should have given something: that it is there, or what the log has beyond.
        let owesSince: number | undefined = performance.now()
        let confirmed = false
        try {
          while (!ended()) {
            if (retired.aborted) {
              // Another took the place of its client, whose node may be frozen.
              phase = 'catching up'
              break
            }
            const signalled = subscription.take()
            if (signalled === undefined) {
              if (subscription.ended()) throw new EndedError('the server ended the subscription')
              yield { kind: 'drained' }
              owesSince = confirmed && head() <= reached ? undefined : (owesSince ?? performance.now())
              if (owesSince !== undefined && performance.now() - owesSince > STALL_MS) throw new StalledError('a subscription gives nothing')
              await subscription.changed(TICK_MS, signal)
              continue
            }
            owesSince = undefined
            confirmed = true
            if (signalled.kind === 'event') {
              const { event } = signalled
              // One that began beyond what a node knew gives again what was given.
              if (event.position.commit <= reached) continue
              patience.progressed()
              from = event.position
              reached = event.position.commit
              yield { kind: 'event', event }
            } else if (signalled.kind === 'checkpoint') {
              // The first of a log stands at 0, before its first event.
              if (signalled.position.commit <= reached || signalled.position.commit === 0n) continue
              patience.progressed()
              from = signalled.position
              reached = signalled.position.commit
              yield { kind: 'reached', commit: reached }
            } else if (signalled.kind === 'caught up' && phase === 'catching up') {
              phase = 'live'
              break
            } else if (signalled.kind === 'fell behind' && phase === 'live') {
              phase = 'catching up'
              break
            }
          }
        } catch (error) {
          connection.retire(client, error)
          throw error
        } finally {
          subscription.close()
          release()
        }
      } catch (error) {
        const verdict = verdictOn(error)
        if (ended()) return
        if (verdict.kind !== 'again') throw error
        phase = 'catching up'
        observe({ what: 'subscription', reason: verdict.reason, error })
        await patience.pause(error, signal)
      }
    }
  }
}
