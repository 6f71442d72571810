import { readFileSync } from 'node:fs'
import { createServer as createWebServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import grpc from '@grpc/grpc-js'

/** How every connection of HTTP/2 begins; no method of HTTP/1 does. */
const HTTP2_BEGINNING = 'PRI'
/** How every connection of TLS begins. */
const TLS_HANDSHAKE = 0x16

/** A port for gRPC and, as on the real server, for plain HTTP. */
export type Front = {
  readonly port: number
  /** Breaks the connections of gRPC: all of them, or that of one peer (`<host>:<port>`). */
  cut(peer?: string): void
  /** Takes no connection any more. */
  close(): void
}

export type FrontOptions = {
  readonly host: string
  /** 0: one that is free. */
  readonly port: number
  /** gRPC goes through TLS only then; plain requests are answered in clear, too, which is how a test gives its orders. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
}

export async function openFront({ host, port, tls }: FrontOptions, services: grpc.Server, web: RequestListener): Promise<Front> {
  /** Those of gRPC. */
  const sockets = new Map<Socket, string>()
  const injector = services.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  const webServer = createWebServer(web)

  function serve(socket: Socket): void {
    sockets.set(socket, `${String(socket.remoteAddress)}:${String(socket.remotePort)}`)
    socket.once('close', () => sockets.delete(socket))
    injector.injectConnection(socket)
  }

  const tlsServer = tls === undefined ? undefined : openTls(tls, serve, (socket) => webServer.emit('connection', socket))
  const server = createServer((socket) => {
    // A client that goes away is none of the server's troubles.
    socket.on('error', () => undefined)
    socket.once('data', (beginning: Buffer) => {
      socket.pause()
      socket.unshift(beginning)
      if (beginning[0] === TLS_HANDSHAKE && tlsServer !== undefined) {
        tlsServer.emit('connection', socket)
      } else if (beginning.toString('latin1', 0, HTTP2_BEGINNING.length) !== HTTP2_BEGINNING) {
        webServer.emit('connection', socket)
        socket.resume()
      } else if (tlsServer === undefined) {
        serve(socket)
      } else {
        socket.destroy()
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
      for (const [socket, name] of sockets) if (peer === undefined || peer === name) reset(socket)
    },
    close() {
      server.close()
    },
  }
}

function openTls(
  { certFile, keyFile }: NonNullable<FrontOptions['tls']>,
  serve: (socket: TLSSocket) => void,
  serveWeb: (socket: TLSSocket) => void,
): ReturnType<typeof createTlsServer> {
  const server = createTlsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile), ALPNProtocols: ['h2', 'http/1.1'] })
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined)
    if (socket.alpnProtocol === 'h2') serve(socket)
    else serveWeb(socket)
  })
  return server
}

/** A connection through TLS cannot be reset, only broken. */
function reset(socket: Socket): void {
  if ('encrypted' in socket) socket.destroy()
  else socket.resetAndDestroy()
}
