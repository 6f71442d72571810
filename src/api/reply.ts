import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Pieces } from '../ports/blob-store.ts'
import type { Position } from '../ports/position.ts'

/** An answer as a value. The length is always said; the body of an answer to HEAD is left out where it is written. */
export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>>
  readonly body?: Buffer | string
  readonly stream?: { readonly bytes: Pieces; readonly sizeBytes: number }
  /** The length that HEAD says, where there is no body at hand. */
  readonly sizeBytes?: number
}

export function json(status: number, value: unknown, headers: Reply['headers'] = {}): Reply {
  return { status, headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(value) }
}

export function positionHeader(position: Position | undefined): Record<string, string> {
  return position === undefined ? {} : { 'Varve-Position': position }
}

/** The `Link` (RFC 8288) to another page of a list: what was asked for, with other parameters. */
export function pageLink(url: string, parameters: Readonly<Record<string, string>>, relation: 'prev' | 'next' = 'next'): string {
  const [path = '', query = ''] = url.split('?', 2)
  const all = new URLSearchParams(query)
  for (const [name, value] of Object.entries(parameters)) all.set(name, value)
  return `<${path}?${all.toString()}>; rel="${relation}"`
}

/** Whether an answer leaves without its body (RFC 9110 §6.4.1). */
export function isBodiless(method: string | undefined, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** An answer's headers, those that every answer carries among them: name, value, name, value … */
export function headersOf(reply: Reply, requestId?: string): string[] {
  const { status, headers = {}, body, stream } = reply
  const list = requestId === undefined ? [] : ['Docker-Distribution-Api-Version', 'registry/2.0', 'X-Request-Id', requestId]
  for (const name in headers) {
    const value = headers[name]
    if (typeof value === 'object') for (const each of value) list.push(name, each)
    else list.push(name, String(value))
  }
  if (status !== 204 && status !== 304) {
    const length = stream?.sizeBytes ?? reply.sizeBytes ?? (body === undefined ? 0 : Buffer.byteLength(body))
    list.push('Content-Length', String(length))
  }
  return list
}

/** Above this, an unread body is not worth reading for the connection's sake. */
export const MAX_DRAINED_BYTES = 1024 * 1024
/** How long a client that still sends gets to read its answer, and one that sends nothing more. */
export const LINGER_MS = 10_000
export const SILENCE_MS = 1_000

/**
 * Writes an answer. The three ends of a body: all of it went, the source failed (the connection is cut: its length was said), the
 * client left.
 */
export async function send(request: IncomingMessage, response: ServerResponse, reply: Reply, requestId?: string): Promise<void> {
  const { status, body, stream } = reply
  const headers = headersOf(reply, requestId)
  const unread = !request.complete && hasBody(request) && Number(request.headers['content-length'] ?? Infinity) > MAX_DRAINED_BYTES
  if (unread) headers.push('Connection', 'close')
  response.writeHead(status, headers)
  const bodiless = isBodiless(request.method, status)
  if (stream !== undefined && !bodiless) {
    await pump(stream.bytes, response)
    response.end()
    return
  }
  if (unread) {
    // In one write: the connection may be cut at once, when what follows is no body.
    if (body === undefined || bodiless) response.flushHeaders()
    else response.write(body)
    await discard(request)
    response.end()
  } else response.end(bodiless ? undefined : body)
}

/**
 * Writes a body's pieces, each when the one before has left: the kernel has it, or TLS its copy, and nothing of the process will look at
 * it again. Returns early where the client leaves.
 */
export async function pump(pieces: Pieces, to: Writable): Promise<void> {
  try {
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next('sent')) {
      if (await hasLeft(next.value, to)) continue
      to.destroy()
      return
    }
  } finally {
    await pieces.return()
  }
}

/** False where the connection is closed, and the piece may be anywhere. */
function hasLeft(piece: Buffer, to: Writable): Promise<boolean> {
  if (to.destroyed) return Promise.resolve(false)
  return new Promise((resolve) => {
    const onClose = (): void => {
      resolve(false)
    }
    to.once('close', onClose)
    to.write(piece, (error) => {
      to.off('close', onClose)
      // A write that is cut off by the connection's end may not be told as an error.
      resolve(!(error instanceof Error) && !to.destroyed)
    })
  })
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

/** How a stream says that the other end of the connection is not there any more. */
export function isClientGone(error: unknown): boolean {
  const gone = ['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT']
  return error instanceof Error && 'code' in error && gone.some((code) => code === error.code)
}
