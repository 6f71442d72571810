import { START, streamNameFilter } from '@eventstore/db-client'
import type { AllStreamRecordedEvent, AllStreamResolvedEvent, Position as ServerPosition } from '@eventstore/db-client'
import type { LogClient } from './client.ts'
import { sourceOf } from './source.ts'

/** What a subscription gives, in the order in which the server sent it. */
export type Signal =
  | { readonly kind: 'event'; readonly event: AllStreamRecordedEvent }
  /** Every event up to here that matches has been given. */
  | { readonly kind: 'checkpoint'; readonly position: ServerPosition }
  | { readonly kind: 'confirmed' | 'caught up' | 'fell behind' }

/** Of a log that is read from far behind: how many events the server looks through for one page. Bounded, for what it holds meanwhile. */
const CATCH_UP_WINDOW = 500
/** With a window of 1 each event that does not match is accounted for by a checkpoint, within 2 to 3 ms (measured). */
const LIVE_WINDOW = 1

/**
 * One subscription to $all by prefixes of stream names, after a position. It ends with its node, and does not come back by itself.
 *
 * The client tells of checkpoints, and of having caught up, while events that came before are still in its buffer. So both go into
 * that buffer, behind them, and are met in the order of the server.
 */
export function subscribeOnce(client: LogClient, prefixes: string[], after: ServerPosition | undefined, phase: 'catching up' | 'live') {
  const subscription = client.subscribeToAll({
    fromPosition: after ?? START,
    filter: streamNameFilter({
      prefixes,
      maxSearchWindow: phase === 'live' ? LIVE_WINDOW : CATCH_UP_WINDOW,
      checkpointInterval: 1,
      checkpointReached: (_, position) => {
        put({ kind: 'checkpoint', position })
      },
    }),
  })
  const put = (signal: Signal): void => {
    subscription.push(signal)
  }
  subscription.on('confirmation', () => {
    put({ kind: 'confirmed' })
  })
  subscription.on('caughtUp', () => {
    put({ kind: 'caught up' })
  })
  subscription.on('fellBehind', () => {
    put({ kind: 'fell behind' })
  })
  const source = sourceOf<AllStreamResolvedEvent | Signal>(subscription, () => subscription.unsubscribe())
  return {
    ...source,
    take(): Signal | undefined {
      const item = source.take()
      if (item === undefined || 'kind' in item) return item
      // Links are not resolved, so each item has its event.
      return item.event === undefined ? undefined : { kind: 'event', event: item.event }
    },
  }
}
