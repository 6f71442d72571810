import { BACKWARDS, END } from '@eventstore/db-client'
import type { AllStreamRecordedEvent, Position as ServerPosition, RecordedEvent, StreamingRead } from '@eventstore/db-client'
import { REQUEST_PATIENCE_MS } from '../../../ports/patience.ts'
import type { LogClient } from './client.ts'
import type { Connection, RetryObserver } from './connection.ts'
import { createPatience } from './patience.ts'
import { sourceOf } from './source.ts'
import { NoAnswerError, isType, verdictOn } from './verdict.ts'

/** How long a read may give nothing. */
const IDLE_MS = 3_000
const NEVER = new AbortController().signal

export type Reader = ReturnType<typeof createReader>

/**
 * Reads that end. Each is asked of the leader, since a follower answers from what it has; one that fails goes on where it was, by
 * another client.
 */
export function createReader(connection: Connection, observe: RetryObserver) {
  /** What one read gives. The client sets reads no deadline, so its silence is bounded here. */
  async function* once<E extends object>(open: (client: LogClient) => StreamingRead<E>): AsyncGenerator<E> {
    const { client, release } = await connection.lease()
    const read = open(client)
    const source = sourceOf<E>(read, () => read.cancel())
    try {
      for (;;) {
        const item = source.take()
        if (item !== undefined) {
          yield item
          continue
        }
        if (source.ended()) return
        const asked = performance.now()
        await source.changed(IDLE_MS, NEVER)
        if (performance.now() - asked >= IDLE_MS) throw new NoAnswerError(`a read gave nothing for ${IDLE_MS} ms`)
      }
    } catch (error) {
      connection.retire(client, error)
      throw error
    } finally {
      source.close()
      release()
    }
  }

  /** Reads again and again until it was read to its end: `open` goes on where the last one failed. */
  async function* whole<E extends object>(open: (client: LogClient) => StreamingRead<E>, passed: (item: E) => void): AsyncGenerator<E> {
    const patience = createPatience(REQUEST_PATIENCE_MS)
    for (;;) {
      try {
        for await (const item of once(open)) {
          passed(item)
          patience.progressed()
          yield item
        }
        return
      } catch (error) {
        const verdict = verdictOn(error)
        if (verdict.kind !== 'again') throw error
        observe({ what: 'read', reason: verdict.reason, error })
        await patience.pause(error)
      }
    }
  }

  return {
    /** A stream's events from a revision on, in order; `absent` where the server has no such stream, or none that it shows. */
    async *stream(name: string, from: number, count = Number.MAX_SAFE_INTEGER): AsyncGenerator<RecordedEvent | 'absent'> {
      let next = BigInt(from)
      const last = next + BigInt(count)
      const open = (client: LogClient) =>
        client.readStream(name, { fromRevision: next, maxCount: Number(last - next), requiresLeader: true })
      try {
        for await (const { event } of whole(open, ({ event }) => (next = event === undefined ? next : event.revision + 1n))) if (event !== undefined) yield event
      } catch (error) {
        if (!isType(error, 'stream-not-found')) throw error
        yield 'absent'
      }
    },
    /** The last event of a stream, or undefined. */
    async lastOf(name: string): Promise<RecordedEvent | undefined> {
      const open = (client: LogClient) => client.readStream(name, { fromRevision: END, direction: BACKWARDS, maxCount: 1, requiresLeader: true })
      try {
        for await (const { event } of whole(open, () => undefined)) return event
      } catch (error) {
        if (!isType(error, 'stream-not-found')) throw error
      }
      return undefined
    },
    /** All events backwards from the end, those of the server and of others among them. */
    async *backwards(count: number): AsyncGenerator<AllStreamRecordedEvent> {
      let from: ServerPosition | typeof END = END
      let left = count
      const open = (client: LogClient) => client.readAll({ direction: BACKWARDS, fromPosition: from, maxCount: left, requiresLeader: true })
      for await (const { event } of whole(open, ({ event }) => ([from, left] = [event?.position ?? from, left - 1]))) if (event !== undefined) yield event
    },
    /** The event at a position and those that follow, `count` of them at most. The server refuses a position that is no record's. */
    async *forwards(from: ServerPosition, count: number): AsyncGenerator<AllStreamRecordedEvent> {
      const open = (client: LogClient) => client.readAll({ fromPosition: from, maxCount: count, requiresLeader: true })
      for await (const { event } of whole(open, () => undefined)) if (event !== undefined) yield event
    },
  }
}
