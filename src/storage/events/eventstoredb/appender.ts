import { NO_STREAM } from '@eventstore/db-client'
import type { AppendExpectedRevision } from '@eventstore/db-client'
import { EventError, MAX_APPEND_BYTES } from '../../../ports/event-log.ts'
import type { EncodedEvent } from '../../../ports/event-log.ts'
import { createInTurn } from '../../../ports/in-turn.ts'
import type { Connection, RetryObserver } from './connection.ts'
import type { Span } from './clock.ts'
import { createPatience } from './patience.ts'
import { toServer } from './server-events.ts'
import { isType, verdictOn } from './verdict.ts'

/** What is known of an append in the end. `position`: the commit position of its last event. */
export type Outcome = { readonly position: bigint; readonly revision: number; readonly span: Span } | { readonly actual: number }

/** How long one try may take. What the server finds past it, when it wakes from a pause, it does not write (measured). */
const DEADLINE_MS = 3_000
/** How long a log that is closed waits for what has no answer yet. */
const CLOSE_MS = 15_000

/**
 * Appends, one at a time a stream: the next one waits until the outcome of the last is known, however long that takes, since the
 * server knows a repeat by the ids that stand at its revisions. What is sent is made once and repeated unchanged.
 *
 * Each try has its own deadline, and one that failed takes another client.
 */
export function createAppender(connection: Connection, observe: RetryObserver) {
  const inTurn = createInTurn()
  const closing = new AbortController()

  async function untilKnown(name: string, expected: number, events: readonly EncodedEvent[]): Promise<Outcome> {
    const frozen = events.map(toServer)
    const expectedRevision: AppendExpectedRevision = expected < 0 ? NO_STREAM : BigInt(expected)
    const patience = createPatience(Infinity)
    const sentAt = performance.now()
    for (;;) {
      try {
        const options = { expectedRevision, requiresLeader: true, deadline: DEADLINE_MS }
        const { nextExpectedRevision, position } = await connection.ask(DEADLINE_MS, (client) => client.appendToStream(name, frozen, options))
        if (position === undefined) throw new Error(`the server gave an append to ${name} no position`)
        return { position: position.commit, revision: Number(nextExpectedRevision), span: { sentAt, answeredAt: performance.now() } }
      } catch (error) {
        const verdict = verdictOn(error)
        if (verdict.kind === 'conflict') return { actual: verdict.actual }
        if (isType(error, 'maximum-append-size-exceeded')) throw new EventError(`an append to ${name} is larger than the server takes`, { cause: error })
        if (verdict.kind === 'final') throw error
        if (closing.signal.aborted) throw new Error('the log was closed while an append had no answer', { cause: error })
        observe({ what: 'append', reason: verdict.reason, error })
        await patience.pause(error, closing.signal)
      }
    }
  }

  return {
    /** Appends to a stream by its name on the server. Rejects only where trying again would change nothing. */
    async append(name: string, expected: number, events: readonly EncodedEvent[]): Promise<Outcome> {
      if (closing.signal.aborted) throw new Error('the log is closed')
      if (events.reduce((sum, event) => sum + event.sizeBytes, 0) >= MAX_APPEND_BYTES) {
        throw new EventError(`an append to ${name} is larger than ${MAX_APPEND_BYTES} bytes`)
      }
      return inTurn.run(name, () => untilKnown(name, expected, events))
    },
    /** Waits for what is under way; what has no answer then is told so. */
    async close(): Promise<void> {
      const timer = setTimeout(() => {
        closing.abort()
      }, CLOSE_MS)
      await inTurn.settled()
      clearTimeout(timer)
      closing.abort()
    },
  }
}
