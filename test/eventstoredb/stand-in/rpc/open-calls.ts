import { subscribe } from 'node:diagnostics_channel'
import { constants } from 'node:http2'
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'

/** All calls of gRPC that this process has open. */
export type OpenCalls = {
  /** Ends calls without a status, all of them or those of one method, by its path. Resolves when that has been sent. */
  reset(path?: string): Promise<void>
  /** Says goodbye on all connections, and resolves when the clients have closed them, or after a while. */
  closeConnections(): Promise<void>
}

const GOODBYE_MS = 1000

/** Node tells of each stream of HTTP/2 that a client opens; grpc-js does not hand them out. */
export function watchOpenCalls(): OpenCalls {
  const paths = new Map<ServerHttp2Stream, string | undefined>()
  const sessions = new Set<Http2Session>()
  subscribe('http2.server.stream.created', (message) => {
    const { stream, headers } = message as { readonly stream: ServerHttp2Stream; readonly headers: IncomingHttpHeaders }
    paths.set(stream, headers[':path'])
    stream.once('close', () => paths.delete(stream))
    const { session } = stream
    if (session === undefined || sessions.has(session)) return
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  return {
    async reset(path) {
      const streams = [...paths].filter(([, each]) => path === undefined || each === path).map(([stream]) => stream)
      const closed = streams.map((stream) => closing(stream))
      for (const stream of streams) stream.close(constants.NGHTTP2_NO_ERROR)
      await Promise.all(closed)
    },
    async closeConnections() {
      const closed = [...sessions].map((session) => closing(session))
      for (const session of sessions) session.goaway()
      await Promise.race([Promise.all(closed), sleep(GOODBYE_MS)])
    },
  }
}

function closing(what: ServerHttp2Stream | Http2Session): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  what.once('close', () => {
    resolve(undefined)
  })
  return promise
}
