import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { isIPv6 } from 'node:net'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Config } from '../config.ts'
import { answerBroken, brokenAnswer, errorCode, isUnderstood } from './broken-request.ts'
import type { ServerLog } from './server-log.ts'
import { createTlsServer } from './tls.ts'

/** Whoever reads a request's body calls `askForBody` before. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Tells a client that waits with its body (`Expect: 100-continue`) to send it. */
export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersion !== '1.0' && /^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue()
}

export type HttpServerOptions = Pick<Config, 'listen' | 'tls'> & {
  readonly handler: Handler
  /** What answers on connections itself what it can, and hands the others over to the server. */
  readonly direct?: (server: { readonly handOver: (socket: Socket) => void; readonly keepAliveMs: number; readonly bodyIdleMs: number }) => DirectConnections
  readonly log: ServerLog
  /** How long a client may take over its headers. */
  readonly headersTimeoutMs?: number
  /** How long a client may send nothing of a body that is waited for; then its connection is cut. */
  readonly bodyIdleTimeoutMs?: number
}

/** Connections that are not node:http's, or not yet. */
export type DirectConnections = {
  /** Takes a new connection, and answers the socket that it goes on as. One that is handed over goes with its bytes, and does not come back. */
  take(accepted: Socket): Socket
  /** Closes each connection once it is idle. */
  stop(): void
}

export type HttpServer = {
  /** With the port that the system gave, where the configuration left it open. */
  readonly url: string
  /**
   * Takes no more connections, finishes the requests under way, and returns when the last connection is closed: at the deadline,
   * counted from the call, what is left is cut off.
   */
  close(deadlineMs: number): Promise<void>
}

/** Longer than the 60 s of a proxy in front, so that it is never us who close a connection that it is about to use. */
const KEEP_ALIVE_MS = 75_000

function listening(server: Server, { host, port }: Config['listen']): Promise<void> {
  return new Promise((done, failed) => {
    function refused(error: Error): void {
      const code = errorCode(error)
      const reason =
        code === 'EADDRINUSE' ? 'another program listens there'
        : code === 'EACCES' ? 'this user may not listen there'
        : code === 'EADDRNOTAVAIL' ? 'this machine has no such address'
        : error.message
      failed(new Error(`VARVE_LISTEN: cannot listen on ${host}:${port}: ${reason}`, { cause: error }))
    }
    server.once('error', refused)
    server.listen({ host, port }, () => {
      server.off('error', refused)
      done()
    })
  })
}

/** Puts `direct` before node:http: it gets each new connection, and hands over those that are not for it. */
function interpose(
  server: Server,
  event: 'connection' | 'secureConnection',
  { direct, track, bodyIdleMs }: { readonly direct: NonNullable<HttpServerOptions['direct']>; readonly track: (socket: Socket) => void; readonly bodyIdleMs: number },
): DirectConnections {
  const theirs = server.listeners(event)
  server.removeAllListeners(event)
  function handOver(socket: Socket): void {
    for (const listener of theirs) listener.call(server, socket)
  }
  const directly = direct({ handOver, keepAliveMs: KEEP_ALIVE_MS, bodyIdleMs })
  server.on(event, (socket: Socket) => {
    track(directly.take(socket))
  })
  return directly
}

/** Cuts clients that stopped in the middle of a body. What came and was not read yet is our slowness, not theirs. */
function cutIdleBodies(responses: ReadonlySet<ServerResponse>, idleMs: number): NodeJS.Timeout {
  const seen = new WeakMap<IncomingMessage, { readonly bytes: number; readonly at: number }>()
  function sweep(): void {
    const now = performance.now()
    for (const { req: request } of responses) {
      if (request.complete || request.destroyed) continue
      const bytes = request.socket.bytesRead
      const last = seen.get(request)
      if (last?.bytes !== bytes || request.readableLength > 0) seen.set(request, { bytes, at: now })
      else if (now - last.at >= idleMs) request.destroy()
    }
  }
  return setInterval(sweep, Math.max(10, idleMs / 6)).unref()
}

/** Listens for HTTP, or for HTTPS where there is a certificate, whose files are read again when they change. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { listen, tls, handler, direct, log, headersTimeoutMs = 60_000, bodyIdleTimeoutMs = 60_000 } = options
  const settings = {
    // Node's 300 s would end the upload of a large layer over a slow line.
    requestTimeout: 0,
    // Its own refusal has no body; ours is below.
    requireHostHeader: false,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(30_000, headersTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A push of 500 tags of 128 characters names them in its URL.
    maxHeaderSize: 80 * 1024,
    // Finds peers that vanished in the middle of a request, which no timeout here would.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  } satisfies ServerOptions

  let stopping = false
  const responses = new Set<ServerResponse>()
  const onSocket = new WeakMap<Duplex, ServerResponse>()

  function underWayOn(socket: Duplex): ServerResponse | undefined {
    const response = onSocket.get(socket)
    return response !== undefined && responses.has(response) ? response : undefined
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    responses.add(response)
    onSocket.set(request.socket, response)
    if (stopping) response.shouldKeepAlive = false
    response.on('close', () => {
      responses.delete(response)
      // Its headers may have promised to keep the connection, before anybody knew of the stop.
      if (stopping) setImmediate(() => { server.closeIdleConnections() })
    })
    if (!isUnderstood(request)) {
      request.socket.end(brokenAnswer('400 Bad Request', request.method === 'HEAD'))
      return
    }
    try {
      handler(request, response)
    } catch (error: unknown) {
      log.error({ err: error }, 'a request handler threw')
      if (response.headersSent) response.destroy()
      else response.writeHead(500, { 'Content-Length': 0, Connection: 'close' }).end()
    }
  }

  const { server, stopFollowing } =
    tls === undefined ? { server: createServer(settings, answer), stopFollowing: () => undefined } : await createTlsServer(tls, settings, answer, log)

  // A client that waits to be asked for its body is answered without it where it may not push; other expectations may be ignored.
  server.on('checkContinue', answer)
  server.on('checkExpectation', answer)
  const sweeper = cutIdleBodies(responses, bodyIdleTimeoutMs)

  // This is no proxy; without a listener the connection would end without a word.
  server.on('connect', (_request, socket: Duplex) => socket.end(brokenAnswer('400 Bad Request')))
  // A client that has said all and closes its own side still gets its answer: by default Node ends the connection under it.
  Object.assign(server, { httpAllowHalfOpen: true })

  const sockets = new Set<Socket>()
  let lastClosed: (() => void) | undefined
  function track(socket: Socket): void {
    sockets.add(socket)
    socket.on('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) lastClosed?.()
    })
  }
  const directly = direct && interpose(server, tls === undefined ? 'connection' : 'secureConnection', { direct, track, bodyIdleMs: bodyIdleTimeoutMs })
  // With TLS a connection has two sockets; both are ended at the deadline, whether its handshake is done or not.
  server.on('connection', track)
  server.on('secureConnection', track)

  server.on('clientError', (error: Error, socket: Duplex) => {
    answerBroken(error, socket, underWayOn(socket))
  })

  try {
    await listening(server, listen)
  } catch (error: unknown) {
    stopFollowing()
    clearInterval(sweeper)
    throw error
  }
  server.on('error', (error) => {
    log.error({ err: error }, 'the HTTP server failed to take a connection')
  })

  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : listen.port
  const host = isIPv6(listen.host) ? `[${listen.host}]` : listen.host

  async function close(deadlineMs: number): Promise<void> {
    stopping = true
    stopFollowing()
    for (const response of responses) if (!response.headersSent) response.shouldKeepAlive = false
    // The server counts only the sockets that it made itself.
    const closed = new Promise<void>((done) => {
      server.close(() => {
        if (sockets.size === 0) done()
        else lastClosed = done
      })
    })
    server.closeIdleConnections()
    directly?.stop()
    // Node counts a connection that has not asked anything yet as busy.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    const deadline = setTimeout(() => {
      if (responses.size > 0) log.warn({ requests: responses.size }, 'requests were cut off by the stop')
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    }, deadlineMs)
    await closed
    clearInterval(sweeper)
    clearTimeout(deadline)
  }
  let closing: Promise<void> | undefined

  return {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    close: (deadlineMs) => (closing ??= close(deadlineMs)),
  }
}
