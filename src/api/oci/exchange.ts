import type { IncomingMessage, ServerResponse } from 'node:http'
import { finished, pipeline } from 'node:stream/promises'
import { ociErrors } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import type { RepositoryName } from '../../oci/names.ts'
import type { Caller } from '../../commands/activity/record.ts'
import type { CommandContext } from '../../commands/handle.ts'
import type { Subject } from '../../commands/rights.ts'
import type { Position } from '../../ports/position.ts'

/** A request to /v2 once it is known who asks. */
export type Exchange = {
  readonly request: IncomingMessage
  /** The request's body. A client that waits to be asked for it (`Expect: 100-continue`) is asked when it is taken, and once. */
  readonly body: () => AsyncIterable<Buffer>
  readonly query: URLSearchParams
  readonly requestId: string
  readonly subject: Subject
  readonly caller: Caller
  /** Aborts when the log has taken longer than a request waits for. */
  readonly command: () => CommandContext
}

/** A request that names a repository. */
export type RepositoryExchange = Exchange & { readonly name: RepositoryName }

/** An answer as a value. The length is always said; the body of an answer to HEAD is left out where it is written. */
export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>>
  readonly body?: Buffer | string
  readonly stream?: { readonly bytes: AsyncIterable<Buffer>; readonly sizeBytes: number }
  /** The length that HEAD says, where there is no body at hand. */
  readonly sizeBytes?: number
}

export function json(status: number, value: unknown, headers: Reply['headers'] = {}): Reply {
  return { status, headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(value) }
}

/** The specification's error document. */
export function refused({ code, message, detail, status, headers }: Refusal): Reply {
  const answer = { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }
  const retry = code === 'UNAVAILABLE' || code === 'TOOMANYREQUESTS' ? { 'Retry-After': '5' } : {}
  return json(status ?? ociErrors[code].status, answer, { ...retry, ...headers })
}

export function positionHeader(position: Position | undefined): Record<string, string> {
  return position === undefined ? {} : { 'Varve-Position': position }
}

/** Above this, an unread body is not worth reading for the connection's sake. */
const MAX_DRAINED_BYTES = 1024 * 1024
/** How long a client that still sends gets to read its answer, and one that sends nothing more. */
const LINGER_MS = 10_000
const SILENCE_MS = 1_000

/** Writes an answer. The three ends of a body: all of it went, the source failed (the connection is cut: its length was said), the client left. */
export async function send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  const { status, headers = {}, body, stream } = reply
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  const length = stream?.sizeBytes ?? reply.sizeBytes ?? (body === undefined ? 0 : Buffer.byteLength(body))
  if (status !== 204 && status !== 304) response.setHeader('Content-Length', length)
  const unread = !request.complete && hasBody(request) && Number(request.headers['content-length'] ?? Infinity) > MAX_DRAINED_BYTES
  if (unread) response.setHeader('Connection', 'close')
  response.statusCode = status
  const bodiless = request.method === 'HEAD' || status === 204 || status === 304
  if (stream !== undefined && !bodiless) {
    await pipeline(stream.bytes, response)
    return
  }
  if (unread) {
    response.flushHeaders()
    if (body !== undefined && !bodiless) response.write(body)
    await discard(request)
    response.end()
  } else response.end(bodiless ? undefined : body)
}

/** Closing a connection over unread bytes resets it, and the client may lose the answer: so they are read for a while, and dropped. */
async function discard(request: IncomingMessage): Promise<void> {
  const silent = new AbortController()
  const timer = setTimeout(() => {
    silent.abort()
  }, SILENCE_MS)
  request.on('data', () => timer.refresh())
  // However it ends: the body's end, the client's, or the time's.
  await finished(request, { signal: AbortSignal.any([silent.signal, AbortSignal.timeout(LINGER_MS)]) }).catch(() => undefined)
  clearTimeout(timer)
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
}
