import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { EventError, MAX_APPEND_BYTES, MAX_SKEW_MS, clockError } from '../../../ports/event-log.ts'
import type { EncodedEvent } from '../../../ports/event-log.ts'
import type { Lane } from '../../../ports/streams.ts'

/** What one caller wants appended, frozen when it is first sent. */
export type AppendRequest = {
  readonly stream: string
  readonly activity: boolean
  readonly expected: number
  readonly events: readonly EncodedEvent[]
}

export type Committed = { readonly firstPosition: number } | { readonly actual: number }

export type CommitObserver = (commit: { readonly seconds: number; readonly events: number; readonly requests: number }) => void

type Waiting = { readonly request: AppendRequest; resolve(result: Committed): void; reject(error: unknown): void }
type Outcome = { readonly row: Row } | { readonly error: unknown }
type Row = { first_pos: string | null; actual: string; clock: Date }

/** One call holds at most this many bytes of events: 1 MB held the log's lock for 8 to 73 ms, and what waits can go with the next. */
const MAX_CALL_BYTES = MAX_APPEND_BYTES
/** How long a call may be without an answer. */
export const CALL_TIMEOUT_MS = 15_000

/** SQLSTATE classes that say nothing of the outcome: connection, operator intervention, system error, resources, a serialization that is to be tried again. */
const UNKNOWN_OUTCOME = /^(08|57|58|53|40|25P04)/

/**
 * Group commit: while one call is under way the next gathers. The next is sent before the last one's callers are answered, so that
 * Postgres works while this process does.
 *
 * A call without an answer may have been committed. It is repeated unchanged until its outcome is known, and nothing else of this
 * process is sent meanwhile: a repeat finds its ids, or appends.
 */
export function createCommitter(connect: () => pg.Client, onCommitted: (head: number, lanes: ReadonlySet<Lane>) => void, observe: CommitObserver) {
  const queue: Waiting[] = []
  let sending = false
  let closed = false
  let client: pg.Client | undefined
  let skewMs = 0
  let idle = Promise.withResolvers<undefined>()

  async function connected(): Promise<pg.Client> {
    if (client !== undefined) return client
    const fresh = connect()
    fresh.on('error', () => {
      if (client === fresh) client = undefined
    })
    await fresh.connect()
    client = fresh
    return fresh
  }

  function disconnect(): void {
    const old = client
    client = undefined
    // The connection is given up because it answers no longer; how its end fails says nothing more.
    old?.end().catch(() => undefined)
  }

  async function call(requests: readonly AppendRequest[]): Promise<Row[]> {
    const db = await connected()
    const [only] = requests
    const [event] = only?.events ?? []
    if (requests.length === 1 && only?.activity === true && only.events.length === 1 && event !== undefined) {
      const { rows } = await db.query<Row>({
        name: 'append_activity',
        text: 'select first_pos, actual, clock from varve_log.append_activity($1, $2, $3, $4, $5)',
        values: [only.stream, only.expected, event.id, event.hash, event.text],
      })
      return rows
    }
    const events = requests.flatMap((request) => request.events)
    const { rows } = await db.query<Row>({
      name: 'append',
      text: 'select first_pos, actual, clock from varve_log.append($1, $2, $3, $4, $5, $6, $7)',
      values: [
        requests.map((request) => request.stream),
        requests.map((request) => request.activity),
        requests.map((request) => request.expected),
        requests.map((request) => request.events.length),
        events.map((event) => event.id),
        events.map((event) => event.hash),
        events.map((event) => event.text),
      ],
    })
    return rows
  }

  async function callUntilKnown(requests: readonly AppendRequest[]): Promise<Row[]> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await call(requests)
      } catch (error) {
        if (error instanceof pg.DatabaseError && !UNKNOWN_OUTCOME.test(error.code ?? '08')) throw error
        disconnect()
        if (closed) throw new Error('the log was closed while an append had no answer', { cause: error })
        await sleep(Math.min(50 * 2 ** attempt, 1000))
      }
    }
  }

  function settle(waiting: Waiting, outcome: Outcome): number {
    if ('error' in outcome) {
      waiting.reject(outcome.error)
      return 0
    }
    const { row } = outcome
    skewMs = row.clock.getTime() - Date.now()
    if (row.first_pos === null) {
      waiting.resolve({ actual: Number(row.actual) })
      return 0
    }
    const firstPosition = Number(row.first_pos)
    waiting.resolve({ firstPosition })
    return firstPosition + waiting.request.events.length - 1
  }

  function take(): Waiting[] {
    const batch: Waiting[] = []
    let bytes = 0
    for (const waiting of queue) {
      bytes += waiting.request.events.reduce((sum, event) => sum + event.sizeBytes, 0)
      if (batch.length > 0 && bytes > MAX_CALL_BYTES) break
      batch.push(waiting)
    }
    queue.splice(0, batch.length)
    return batch
  }

  /** An error rolls the whole call back, so each request is then sent alone: only the one at fault fails. */
  async function outcomesOf(requests: readonly AppendRequest[]): Promise<Outcome[]> {
    try {
      return (await callUntilKnown(requests)).map((row) => ({ row }))
    } catch (error) {
      if (requests.length === 1 || closed) return requests.map(() => ({ error }))
      const outcomes: Outcome[] = []
      for (const request of requests) outcomes.push(...(await outcomesOf([request])))
      return outcomes
    }
  }

  async function commit(batch: readonly Waiting[]): Promise<void> {
    const started = performance.now()
    const outcomes = await outcomesOf(batch.map((waiting) => waiting.request))
    const seconds = (performance.now() - started) / 1000
    sendNext()
    const heads = batch.map((waiting, index) => settle(waiting, outcomes[index] ?? { error: new Error('the log answered too few rows') }))
    const head = Math.max(...heads)
    const lanes = batch.flatMap(({ request }, index): Lane[] => ((heads[index] ?? 0) === 0 ? [] : [request.activity ? 'activity' : 'state']))
    if (head > 0) onCommitted(head, new Set(lanes))
    const events = batch.reduce((sum, waiting) => sum + waiting.request.events.length, 0)
    observe({ seconds, events, requests: batch.length })
  }

  function sendNext(): void {
    const batch = take()
    sending = batch.length > 0
    if (sending) void commit(batch)
    else {
      idle.resolve(undefined)
      idle = Promise.withResolvers()
    }
  }

  /** A clock that was far off is asked anew, so that one put right lets writes go on. */
  async function checkClock(): Promise<void> {
    if (Math.abs(skewMs) <= MAX_SKEW_MS) return
    const db = await connected()
    const { rows } = await db.query<{ clock: Date }>('select clock_timestamp() as clock')
    skewMs = (rows[0]?.clock.getTime() ?? 0) - Date.now()
    if (Math.abs(skewMs) > MAX_SKEW_MS) throw clockError(skewMs)
  }

  return {
    async append(request: AppendRequest): Promise<Committed> {
      if (closed) throw new Error('the log is closed')
      if (request.events.reduce((sum, event) => sum + event.sizeBytes, 0) >= MAX_APPEND_BYTES) {
        throw new EventError(`an append to ${request.stream} is larger than ${MAX_APPEND_BYTES} bytes`)
      }
      await checkClock()
      return new Promise<Committed>((resolve, reject) => {
        queue.push({ request, resolve, reject })
        if (sending) return
        sending = true
        queueMicrotask(sendNext)
      })
    },
    clockSkewMs: () => skewMs,
    /** Waits for what is under way, then ends the connection. */
    async close(): Promise<void> {
      if (sending) {
        const timer = setTimeout(() => {
          idle.resolve(undefined)
        }, CALL_TIMEOUT_MS)
        await idle.promise
        clearTimeout(timer)
      }
      closed = true
      disconnect()
    },
  }
}
