import { Agent, request } from 'node:http'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { ociErrors } from '../../src/oci/errors.ts'
import { isErrorDocument, parsed } from './documents.ts'
import type { VarveServer } from './server.ts'

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }

export type Sent = { readonly headers?: OutgoingHttpHeaders; readonly body?: string | Uint8Array; readonly anonymous?: boolean }

/** A client that sends the path as it stands: fetch would tidy up `..` and `//` before. */
export function wireClient({ host, authorization }: Pick<VarveServer, 'host' | 'authorization'>) {
  const [hostname, port] = host.split(':')
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })

  async function ask(method: string, path: string, { headers = {}, body, anonymous = false }: Sent = {}): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const length = body === undefined || 'Transfer-Encoding' in headers ? {} : { 'Content-Length': Buffer.byteLength(body) }
    const outgoing = request({
      hostname, port, agent, method, path,
      // A push of 500 tags is answered with as many headers.
      maxHeaderSize: 128 * 1024,
      headers: { ...(anonymous ? {} : { Authorization: authorization }), ...length, ...headers },
    })
    outgoing.on('response', (incoming) => {
      buffer(incoming).then((bytes) => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: bytes })
      }, reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
    return promise
  }

  /** Sends, sees to the form of the answer, and gives it. */
  async function sound(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const answer = await ask(method, path, sent)
    const problem = problemWith(method, answer)
    if (problem !== undefined) throw new Error(`${method} ${path.slice(0, 200)}: ${problem}`)
    return answer
  }

  return {
    ask,
    sound,
    /** Status and code of an answer whose form is right, such as `404 BLOB_UNKNOWN`. */
    async asked(method: string, path: string, sent: Sent = {}): Promise<string> {
      const { status, body } = await sound(method, path, sent)
      return status >= 400 && method !== 'HEAD' ? `${status} ${codeIn(body) ?? ''}` : String(status)
    },
    close: () => {
      agent.destroy()
    },
  }
}

/** Statuses that a code has beside its usual one. */
const MORE_STATUSES: Readonly<Record<string, readonly number[]>> = {
  BLOB_UPLOAD_INVALID: [416],
  SIZE_INVALID: [413, 416],
  UNSUPPORTED: [400, 408, 413, 414, 431],
}

/** What is wrong with an answer's form, whatever it answers; undefined: nothing. */
export function problemWith(method: string, { status, headers, body }: Answer): string | undefined {
  const bodiless = method === 'HEAD' || status === 204 || status === 304
  if (bodiless && body.length > 0) return `${status} to ${method} has a body`
  if (!bodiless && headers['content-length'] !== String(body.length)) return `Content-Length ${String(headers['content-length'])}, not ${body.length}`
  if (status < 400) return status >= 200 ? undefined : `status ${status}`
  if (status >= 500 && status !== 503) return `status ${status}`
  if (status === 503 && headers['retry-after'] === undefined) return '503 without Retry-After'
  if (status === 405 && headers.allow === undefined) return '405 without Allow'
  if (status === 401 && headers['www-authenticate'] === undefined) return '401 without a challenge'
  if (headers['content-type'] !== 'application/json; charset=utf-8') return `error of type ${String(headers['content-type'])}`
  if (bodiless) return undefined
  const code = codeIn(body)
  if (code === undefined) return `no error document: ${body.toString().slice(0, 200)}`
  const known = Object.entries(ociErrors).find(([name]) => name === code)?.[1]
  if (known === undefined) return `unknown code ${code}`
  return known.status === status || MORE_STATUSES[code]?.includes(status) === true ? undefined : `${code} with status ${status}`
}

/** The code of an error document, if that is what it is. */
export function codeIn(body: Buffer): string | undefined {
  const document = parsed(body)
  return isErrorDocument(document) ? document.errors[0].code : undefined
}

/** A connection of one's own, to send what no client would. */
export function openRaw({ host }: Pick<VarveServer, 'host'>) {
  const [hostname = '', port] = host.split(':')
  const socket: Socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  let received = ''
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      resolve()
    })
  })
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  socket.on('end', () => socket.end())
  // A reset is an end like another; what came before it counts.
  socket.on('error', () => undefined)
  return {
    socket,
    closed,
    send: (text: string | Buffer) => socket.write(text),
    received: () => received,
    /** Waits until what came matches. */
    async until(pattern: RegExp): Promise<string> {
      const deadline = Date.now() + 20_000
      while (!pattern.test(received)) {
        if (Date.now() > deadline || socket.destroyed) throw new Error(`waited in vain for ${String(pattern)}: ${received}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      return received
    },
  }
}

/** Sends a text and answers all that comes until the server closes, or the sender's own end where `half`. */
export async function exchangeRaw(server: Pick<VarveServer, 'host'>, text: string | Buffer, { half = false } = {}): Promise<string> {
  const raw = openRaw(server)
  raw.send(text)
  if (half) raw.socket.end()
  await raw.closed
  return raw.received()
}
