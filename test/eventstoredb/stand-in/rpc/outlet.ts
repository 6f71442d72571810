import { once } from 'node:events'
import type { ServerWritableStream } from '@grpc/grpc-js'
import type { Streams } from './generated.ts'

export type ReadCall = ServerWritableStream<Streams.ReadReq, Streams.ReadResp>

/** Where the answers of a read go. */
export type Outlet = {
  /** Aborts when the client has gone or the call is ended for another reason. */
  readonly signal: AbortSignal
  /** Resolves when there is room for more; rejects once the signal aborts. */
  send(answer: Streams.ReadResp): Promise<void>
}

export function outletOf(call: ReadCall): Outlet {
  const gone = new AbortController()
  const { signal } = gone
  for (const event of ['cancelled', 'close', 'error']) {
    call.once(event, () => {
      gone.abort()
    })
  }
  return {
    signal,
    async send(answer) {
      signal.throwIfAborted()
      if (!call.write(answer)) await once(call, 'drain', { signal })
    },
  }
}
