import { Agent, request } from 'node:http'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'

export type Reply = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }

export type HttpClient = {
  /** Sends the pieces of a body one after another, with their length said before. */
  ask(method: string, path: string, pieces?: readonly Uint8Array[], headers?: OutgoingHttpHeaders): Promise<Reply>
  /** The same; throws where the answer has another status. */
  expect(status: number, method: string, path: string, pieces?: readonly Uint8Array[], headers?: OutgoingHttpHeaders): Promise<Reply>
  close(): void
}

/** A client of one registry that keeps its connections. */
export function httpClient(port: number, always: Readonly<Record<string, string>>): HttpClient {
  const agent = new Agent({ keepAlive: true })

  function ask(method: string, path: string, pieces: readonly Uint8Array[] = [], headers: OutgoingHttpHeaders = {}): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const outgoing = request({ host: '127.0.0.1', port, agent, method, path, headers: { ...always, 'Content-Length': length, ...headers } })
    outgoing.on('response', (incoming) => {
      buffer(incoming).then((body) => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body })
      }, reject)
    })
    outgoing.on('error', reject)
    for (const piece of pieces) outgoing.write(piece)
    outgoing.end()
    return promise
  }

  return {
    ask,
    async expect(status, method, path, pieces, headers) {
      const reply = await ask(method, path, pieces, headers)
      if (reply.status === status) return reply
      throw new Error(`${method} ${path} answered ${reply.status}, not ${status}: ${reply.body.toString().slice(0, 500)}`)
    },
    close: () => {
      agent.destroy()
    },
  }
}
