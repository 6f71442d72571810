import { once } from 'node:events'
import type { ServerWritableStream } from '@grpc/grpc-js'
import type { Streams } from './generated.ts'
import type { Faults } from '../faults.ts'
import { asStatus } from './refusals.ts'
import type { Refusal } from './refusals.ts'

export type ReadCall = ServerWritableStream<Streams.ReadReq, Streams.ReadResp>

const STALLED_MS = 50

/** Where the answers of a read go. */
export type Outlet = {
  /** Aborts when the call is over, whoever ended it. */
  readonly signal: AbortSignal
  /** Resolves when there is room for more; rejects once the signal aborts. */
  send(answer: Streams.ReadResp): Promise<void>
  /** Whether the client has left no room for a while. */
  readonly isStalled: () => boolean
  /** Ends the call: in order, or with an error. What comes later is left out. */
  end(error?: unknown): void
}

export function outletOf(call: ReadCall): Outlet {
  const over = new AbortController()
  const { signal } = over
  let waitingSince = Infinity
  for (const event of ['cancelled', 'close', 'error']) {
    call.once(event, () => {
      over.abort()
    })
  }
  return {
    signal,
    async send(answer) {
      signal.throwIfAborted()
      if (call.write(answer)) return
      waitingSince = Date.now()
      await once(call, 'drain', { signal })
      waitingSince = Infinity
    },
    isStalled: () => Date.now() - waitingSince > STALLED_MS,
    end(error) {
      if (signal.aborted) return
      over.abort()
      if (error === undefined) call.end()
      else call.emit('error', asStatus(error))
    },
  }
}

/** The subscriptions that are open. */
export type Subscriptions = {
  readonly open: Set<Outlet>
  /** How many events they were sent. */
  eventsSent(): number
  /** Serves one, through an outlet that counts its events, past the faults that somebody set. */
  serve(outlet: Outlet, subscription: (outlet: Outlet) => Promise<void>): Promise<void>
  /** Ends all of them: in order, or with an error. */
  drop(error?: Refusal): void
}

export function createSubscriptions(faults: Faults): Subscriptions {
  const open = new Set<Outlet>()
  let eventsSent = 0
  return {
    open,
    eventsSent: () => eventsSent,
    async serve(outlet, subscription) {
      open.add(outlet)
      const send = async (answer: Streams.ReadResp): Promise<void> => {
        const times = !answer.hasEvent() ? 0 : faults.meet('twice', 'subscribe') === undefined ? 1 : 2
        eventsSent += times
        if (times === 2) await outlet.send(answer)
        await outlet.send(answer)
      }
      try {
        await subscription({ ...outlet, send })
      } finally {
        open.delete(outlet)
      }
    },
    drop(error) {
      for (const outlet of open) outlet.end(error)
    },
  }
}
