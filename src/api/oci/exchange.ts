import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
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

/** Writes an answer. The three ends of a body: all of it went, the source failed (the connection is cut: its length was said), the client left. */
export async function send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<number> {
  const { status, headers = {}, body, stream } = reply
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  const length = stream?.sizeBytes ?? reply.sizeBytes ?? (body === undefined ? 0 : Buffer.byteLength(body))
  if (status !== 204 && status !== 304) response.setHeader('Content-Length', length)
  if (!request.complete && Number(request.headers['content-length'] ?? Infinity) > MAX_DRAINED_BYTES && hasBody(request)) {
    response.setHeader('Connection', 'close')
  }
  response.statusCode = status
  if (request.method === 'HEAD' || status === 204 || status === 304) {
    response.end()
    return 0
  }
  if (stream === undefined) {
    response.end(body)
    return length
  }
  await pipeline(stream.bytes, response)
  return length
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
}
