import { subscribe } from 'node:diagnostics_channel'
import { constants } from 'node:http2'
import type { ServerHttp2Stream } from 'node:http2'

/** All calls of gRPC that this process has open. */
export type OpenCalls = {
  /** Ends all calls without a status, as the real server does when it stops in order. Resolves when that has been sent. */
  reset(): Promise<void>
}

/** Node tells of each stream of HTTP/2 that a client opens; grpc-js does not hand them out. */
export function watchOpenCalls(): OpenCalls {
  const streams = new Set<ServerHttp2Stream>()
  subscribe('http2.server.stream.created', (message) => {
    const { stream } = message as { readonly stream: ServerHttp2Stream }
    streams.add(stream)
    stream.once('close', () => streams.delete(stream))
  })
  return {
    async reset() {
      const closed = [...streams].map((stream) => {
        const { promise, resolve } = Promise.withResolvers<undefined>()
        stream.once('close', () => {
          resolve(undefined)
        })
        stream.close(constants.NGHTTP2_NO_ERROR)
        return promise
      })
      await Promise.all(closed)
    },
  }
}
