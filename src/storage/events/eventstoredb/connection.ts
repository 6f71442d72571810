import { setTimeout as sleep } from 'node:timers/promises'
import type { Hint, LogClient } from './client.ts'
import { NoAnswerError, verdictOn } from './verdict.ts'
import type { Reason } from './verdict.ts'

/** A client on loan. `retired` aborts when another takes its place. */
export type Lease = { readonly client: LogClient; readonly retired: AbortSignal; readonly release: () => void }

/** What is told of each thing that is tried again. */
export type RetryObserver = (retry: { readonly what: 'append' | 'read' | 'subscription'; readonly reason: Reason; readonly error: unknown }) => void

type Live = { readonly client: LogClient; readonly retired: AbortController; users: number }

/** How long after one client the next is made, at the earliest: many calls fail at once. */
const MIN_AGE_MS = 100

export type Connection = ReturnType<typeof createConnection>

/**
 * The client that is in use. One that failed, or gave no answer, is not used again: its node may be frozen, and by itself it would stay
 * with it for 20 s (measured). What it still does goes on to its own end; it is closed after the last.
 */
export function createConnection(make: (hint: Hint) => LogClient) {
  let live: Live | undefined
  /** What the client in use was made with, or the next one will be. */
  let hint: Hint = {}
  let madeAt = -Infinity
  let closed = false

  async function current(): Promise<Live> {
    if (live === undefined) await sleep(Math.max(0, madeAt + MIN_AGE_MS - performance.now()))
    if (closed) throw new Error('the log is closed')
    if (live !== undefined) return live
    madeAt = performance.now()
    live = { client: make(hint), retired: new AbortController(), users: 0 }
    return live
  }

  async function lease(): Promise<Lease> {
    const taken = await current()
    taken.users += 1
    return {
      client: taken.client,
      retired: taken.retired.signal,
      release: () => {
        taken.users -= 1
        if (taken.users === 0 && taken.retired.signal.aborted) taken.client.close()
      },
    }
  }

  /** Takes a client out of use, where its error says that another may do better. */
  function retire(client: LogClient, error: unknown): void {
    const verdict = verdictOn(error)
    if (verdict.kind !== 'again' || live?.client !== client) return
    const old = live
    live = undefined
    // One that found no node leaves it at what had failed before: the nodes may still believe in that.
    const failed = client.node() ?? hint.failed
    hint = { ...(verdict.leader === undefined ? {} : { leader: verdict.leader }), ...(failed === undefined ? {} : { failed }) }
    old.retired.abort()
    if (old.users === 0) old.client.close()
  }

  return {
    lease,
    retire,
    /** Asks the server for something that ends, within a time; a failure that another client may not have retires this one. */
    async ask<T>(timeoutMs: number, work: (client: LogClient) => Promise<T>): Promise<T> {
      const { client, release } = await lease()
      try {
        return await answered(work(client), timeoutMs)
      } catch (error) {
        retire(client, error)
        throw error
      } finally {
        release()
      }
    },
    /** The node that answers: the leader, once it has answered what only a leader does. */
    node: (): string | undefined => live?.client.node(),
    close(): void {
      closed = true
      live?.client.close()
      live = undefined
    },
  }
}

/** An answer, or a NoAnswerError after a time: the client's own deadlines do not cover finding a node. */
async function answered<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(new NoAnswerError(`no answer in ${timeoutMs} ms`))
  }, timeoutMs)
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
    // What comes too late is nobody's: what was asked is asked again.
    answer.catch(() => undefined)
  }
}
