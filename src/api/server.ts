import { readFile, stat } from 'node:fs/promises'
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { Socket, isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'

/** Whoever reads a request's body calls `askForBody` before. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Tells a client that waits with its body (`Expect: 100-continue`) to send it. */
export function askForBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersion !== '1.0' && /^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue()
}

/** The part of a pino logger that is used here. */
export type ServerLog = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
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

const TLS_POLL_MS = 1_000
/** Longer than the 60 s of a proxy in front, so that it is never us who close a connection that it is about to use. */
const KEEP_ALIVE_MS = 75_000

async function secureParts({ certFile, keyFile }: NonNullable<Config['tls']>): Promise<{ readonly cert: Buffer; readonly key: Buffer }> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)])
  // Throws where they are no certificate and no key, or do not belong together.
  createSecureContext({ cert, key })
  return { cert, key }
}

/** Changes when one of the files is written or replaced, also behind a symbolic link, as Kubernetes does it. */
async function version(files: NonNullable<Config['tls']>): Promise<string> {
  const found = await Promise.all([files.certFile, files.keyFile].map((file) => stat(file, { bigint: true })))
  return found.map(({ ino, mtimeNs, size }) => `${ino} ${mtimeNs} ${size}`).join(' ')
}

/** Calls `use` with each new pair that is whole; a bad one is logged once and the old stays. */
function followTlsFiles(
  files: NonNullable<Config['tls']>,
  first: string,
  use: (parts: { readonly cert: Buffer; readonly key: Buffer }) => void,
  log: ServerLog,
): NodeJS.Timeout {
  let seen = first
  let busy = false
  async function look(): Promise<void> {
    // Before the reading: a change in between is then seen the next time.
    const now = await version(files).catch((error: unknown) => String(error))
    if (now === seen) return
    seen = now
    try {
      use(await secureParts(files))
      log.info({ certFile: files.certFile }, 'the TLS certificate was read again')
    } catch (error: unknown) {
      log.warn({ err: error, certFile: files.certFile }, 'the new TLS certificate and key cannot be used; the old ones stay')
    }
  }
  return setInterval(() => {
    if (busy) return
    busy = true
    void look().finally(() => {
      busy = false
    })
  }, TLS_POLL_MS).unref()
}

/** Its code, where it has one. Not by `instanceof`: errors of Node's own may be of another realm. */
function errorCode(error: object): unknown {
  return 'code' in error ? error.code : undefined
}

const BROKEN = JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message: 'this is no request that is understood here' }] })

/** The whole answer to what is no request, so that it, too, is one that a client of the registry can read. */
function brokenAnswer(status: string, head = false): string {
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${BROKEN.length}\r\n\r\n${head ? '' : BROKEN}`
}

/** Whether what could not be read began as a HEAD, whose answer has no body. */
function wasHead(error: object): boolean {
  return 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) && error.rawPacket.subarray(0, 5).toString('latin1') === 'HEAD '
}

/** Whether a request is one that is spoken here: its version, one Host (RFC 9112 §3.2), and no coding of its body but chunks (§6.1). */
function isUnderstood({ rawHeaders, headers, httpVersion }: IncomingMessage): boolean {
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.length === 4 && name.toLowerCase() === 'host').length
  const spoken = (httpVersion === '1.1' && hosts === 1) || (httpVersion === '1.0' && hosts <= 1)
  return spoken && (headers['transfer-encoding'] ?? 'chunked').toLowerCase() === 'chunked'
}

function refusal(error: object): string {
  switch (errorCode(error)) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return '408 Request Timeout'
    case 'HPE_HEADER_OVERFLOW':
      return '431 Request Header Fields Too Large'
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return '413 Payload Too Large'
    default:
      return '400 Bad Request'
  }
}

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

  let server: Server
  let follower: NodeJS.Timeout | undefined
  if (tls === undefined) {
    server = createServer(settings, answer)
  } else {
    const first = await version(tls).catch((error: unknown) => {
      throw new Error(`VARVE_TLS_CERT, VARVE_TLS_KEY: ${String(error)}`, { cause: error })
    })
    const parts = await secureParts(tls).catch((error: unknown) => {
      throw new Error(`VARVE_TLS_CERT, VARVE_TLS_KEY: the pair cannot be used: ${String(error)}`, { cause: error })
    })
    const options = { minVersion: 'TLSv1.2' } as const
    const secure = createSecureServer({ ...settings, ...options, ...parts }, answer)
    const use = (next: { readonly cert: Buffer; readonly key: Buffer }): void => {
      secure.setSecureContext({ ...options, ...next })
    }
    server = secure
    follower = followTlsFiles(tls, first, use, log)
  }

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
    const response = onSocket.get(socket)
    const underWay = response !== undefined && responses.has(response) ? response : undefined
    if (underWay?.req.complete === true) {
      // What is broken came after a request that is whole: that one gets its answer, and the connection ends with it.
      underWay.shouldKeepAlive = false
      underWay.once('finish', () => socket.end())
      return
    }
    // A second status line in the middle of an answer would pass for its body; what was written of it still leaves.
    if (underWay?.headersSent === true && socket instanceof Socket) socket.destroySoon()
    else if (!socket.writable || errorCode(error) === 'ECONNRESET') socket.destroy()
    else socket.end(brokenAnswer(refusal(error), wasHead(error)))
  })

  try {
    await listening(server, listen)
  } catch (error: unknown) {
    clearInterval(follower)
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
    clearInterval(follower)
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
