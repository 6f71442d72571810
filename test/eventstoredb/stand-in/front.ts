import { createServer as createWebServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import grpc from '@grpc/grpc-js'

/** How every connection of HTTP/2 begins; no method of HTTP/1 does. */
const HTTP2_BEGINNING = 'PRI'

/** A port for gRPC and, as on the real server, for plain HTTP. */
export type Front = {
  readonly port: number
  /** Breaks the connections of gRPC: all of them, or that of one peer (`<host>:<port>`). */
  cut(peer?: string): void
  /** Takes no connection any more. */
  close(): void
}

/** Listens on a port (0: one that is free). */
export async function openFront(host: string, port: number, services: grpc.Server, web: RequestListener): Promise<Front> {
  /** Those of gRPC. */
  const sockets = new Map<Socket, string>()
  const injector = services.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  const webServer = createWebServer(web)
  const server = createServer((socket) => {
    // A client that goes away is none of the server's troubles.
    socket.on('error', () => undefined)
    socket.once('data', (beginning: Buffer) => {
      socket.pause()
      socket.unshift(beginning)
      if (beginning.toString('latin1', 0, HTTP2_BEGINNING.length) === HTTP2_BEGINNING) {
        sockets.set(socket, `${String(socket.remoteAddress)}:${String(socket.remotePort)}`)
        socket.once('close', () => sockets.delete(socket))
        injector.injectConnection(socket)
      } else {
        webServer.emit('connection', socket)
        socket.resume()
      }
    })
  })
  const { promise: listening, resolve, reject } = Promise.withResolvers<undefined>()
  server.once('error', reject)
  server.listen(port, host, () => {
    resolve(undefined)
  })
  await listening
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server listens on no port')
  return {
    port: address.port,
    cut(peer) {
      for (const [socket, name] of sockets) if (peer === undefined || peer === name) socket.resetAndDestroy()
    },
    close() {
      server.close()
    },
  }
}
