import { randomUUID } from 'node:crypto'
import type { Actor, Event, Fact } from '../../ports/event.ts'
import { MAX_APPEND_BYTES, MAX_EVENT_BYTES } from '../../ports/event-log.ts'
import type { EventLog } from '../../ports/event-log.ts'
import type { Sealed } from '../../ports/key-store.ts'

/** One object for each caller, shared by what they did: batches tell callers apart by identity. */
export type Caller = { readonly kind: Actor['kind']; readonly subject: string; readonly private?: Sealed }

/** An event in the making. `add` answers by how many bytes, at most, it grew; 0 where it is full. */
export type Gathering<T> = { readonly at: number; fact(): Fact; add(item: T, time: number): number }

type Batch<T> = { readonly events: Gathering<T>[]; bytes: number; readonly done: PromiseWithResolvers<undefined>; timer?: NodeJS.Timeout }

/** What an event may hold beside its items, and what a caller takes of it at most beside its sealed part, in bytes of canonical text. */
export const EVENT_FRAME_BYTES = 1_000
export const CALLER_BYTES = 120

/** The log took longer than requests wait for. */
export class LogUnavailableError extends Error {
  override readonly name = 'LogUnavailableError'
}

/** A fact in its envelope; the process itself says it. */
export function recordedBy<F extends Fact>(boot: string, fact: F, at: number): Event<F> {
  return { ...fact, id: randomUUID(), at: new Date(at).toISOString(), actor: { kind: 'system', subject: boot } }
}

/**
 * Records what many requests did in few events. While one append is under way the next batch gathers; the first of a quiet time gathers
 * until the end of the event loop's turn. One producer a stream, one append at a time, so its revision is known without a read.
 *
 * When the log gives no answer in `timeoutMs`, those who wait are told so. A batch that was not sent is then dropped, since nobody
 * gets an answer for it; one that was sent is repeated by the log until its outcome is known.
 */
export function createBatches<T>(options: {
  readonly log: EventLog
  readonly stream: string
  /** The stream's; -1 where it is new. */
  readonly revision: number
  readonly boot: string
  readonly now: () => number
  readonly timeoutMs: number
  readonly begin: (at: number) => Gathering<T>
}) {
  const { log, stream, boot, now, timeoutMs, begin } = options
  const waiting: Batch<T>[] = []
  let sending: Batch<T> | undefined
  let { revision } = options

  function newBatch(): Batch<T> {
    const batch: Batch<T> = { events: [], bytes: 0, done: Promise.withResolvers() }
    // A batch that nobody waits for has nobody to tell.
    batch.done.promise.catch(() => undefined)
    batch.timer = setTimeout(() => {
      if (waiting.includes(batch)) waiting.splice(waiting.indexOf(batch), 1)
      batch.done.reject(new LogUnavailableError(`the log gave no answer in ${timeoutMs} ms`))
    }, timeoutMs)
    waiting.push(batch)
    if (sending === undefined && waiting.length === 1) setImmediate(sendNext)
    return batch
  }

  function join(item: T): Batch<T> {
    const last = waiting.at(-1)
    const batch = last !== undefined && last.bytes + MAX_EVENT_BYTES < MAX_APPEND_BYTES ? last : newBatch()
    const time = now()
    const event = batch.events.at(-1)
    const bytes = event?.add(item, time) ?? 0
    if (bytes > 0) batch.bytes += bytes
    else {
      const fresh = begin(time)
      batch.bytes += EVENT_FRAME_BYTES + fresh.add(item, time)
      batch.events.push(fresh)
    }
    return batch
  }

  function sendNext(): void {
    if (sending !== undefined) return
    sending = waiting.shift()
    if (sending !== undefined) void send(sending)
  }

  async function send(batch: Batch<T>): Promise<void> {
    let failure: unknown
    try {
      const events = batch.events.map((event) => recordedBy(boot, event.fact(), event.at))
      const appended = await log.append(stream, revision, events)
      if (appended.status === 'appended') revision += events.length
      else {
        revision = appended.actual
        failure = new Error(`${stream} has another producer`)
      }
    } catch (error) {
      failure = error
    }
    sending = undefined
    // The next append is under way before the answers of this one are written.
    sendNext()
    clearTimeout(batch.timer)
    if (failure === undefined) batch.done.resolve(undefined)
    else batch.done.reject(failure)
  }

  return {
    /** Resolves once the item is durable; rejects with LogUnavailableError where that took too long. */
    async record(item: T): Promise<void> {
      await join(item).done.promise
    },
    /** Records without being waited for. */
    note(item: T): void {
      join(item)
    },
    /** Waits until what was recorded so far is durable, or has failed. */
    async drain(): Promise<void> {
      for (const batch of [sending, ...waiting]) await batch?.done.promise.catch(() => undefined)
    },
  }
}
