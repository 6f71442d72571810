import { setTimeout as delay } from 'node:timers/promises'
import { openRaw } from '../support/wire.ts'
import type { Answer } from '../support/wire.ts'
import type { VarveServer } from '../support/server.ts'
import { isUnreadable } from './judge.ts'
import { targetOf } from './requests.ts'
import type { Request } from './requests.ts'

export type Server = Pick<VarveServer, 'host'>

/**
 * How a client ends: once it has its answers; with its last byte (it reads on); at the first byte of an answer (it reads on); or
 * it is gone: after its last byte, at the first byte of an answer.
 */
export type Ending = 'answered' | 'half' | 'half in the answer' | 'gone' | 'gone in the answer'

/** What goes over one connection. */
export type Conversation = {
  readonly pieces: readonly Buffer[]
  /** How long each piece waits for the one before; undefined: not at all. */
  readonly pauseMs?: number
  readonly methods: readonly string[]
  readonly ending: Ending
}

export type Heard = {
  readonly answers: readonly (Answer & { readonly line: string })[]
  /** What came after the last whole answer. */
  readonly rest: string
}

/** The bytes of a request. A body says its length, unless another framing is given. */
export function written(request: Request, options: { readonly more?: readonly string[]; readonly line?: string; readonly host?: readonly string[]; readonly framed?: boolean } = {}): Buffer {
  const { line = `${request.method} ${targetOf(request)} HTTP/1.1`, host = ['Host: x'], more = [], framed = true } = options
  const length = framed && request.body !== undefined ? [`Content-Length: ${request.body.length}`] : []
  const lines = [line, ...host, ...request.headers.map(([key, value]) => `${key}: ${value}`), ...more, ...length]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), request.body ?? Buffer.alloc(0)])
}

/** The whole answers in what came over a connection, but those that only say to go on. */
export function answersIn(received: string, methods: readonly string[]): Heard {
  const answers: Heard['answers'][number][] = []
  for (let rest = received; ; ) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return { answers, rest }
    const [line = '', ...lines] = rest.slice(0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1])
    if (Number.isNaN(status)) throw new Error(`no answer: ${rest.slice(0, 200)}`)
    const headers: Record<string, string> = {}
    for (const each of lines) {
      const colon = each.indexOf(':')
      const key = each.slice(0, colon).toLowerCase()
      // Only those of the tags come more than once.
      if (headers[key] !== undefined && key !== 'oci-tag') throw new Error(`two headers ${key}: ${rest.slice(0, end)}`)
      headers[key] = each.slice(colon + 1).trim()
    }
    const start = end + 4
    if (status < 200) {
      rest = rest.slice(start)
      continue
    }
    const head = methods[answers.length] === 'HEAD' || status === 204 || status === 304
    // What cannot be read has no method: where one is HEAD, it may be answered with a body and without.
    const bodiless = isUnreadable({ status, headers }) && methods.includes('HEAD') ? rest.length === start : head
    const length = bodiless ? 0 : Number(headers['content-length'])
    if (!(rest.length - start >= length)) return { answers, rest }
    answers.push({ line, status, headers, body: Buffer.from(rest.slice(start, start + length), 'latin1') })
    rest = rest.slice(start + length)
  }
}

/** Also where what came is no answer: then there is nothing to wait for. */
function isAnswered(received: string, methods: readonly string[]): boolean {
  try {
    return answersIn(received, methods).answers.length >= methods.length
  } catch {
    return true
  }
}

/** Has a conversation, until the server has closed it or the client is gone. */
export async function converse(server: Server, { pieces, pauseMs, methods, ending }: Conversation): Promise<Heard> {
  const raw = openRaw(server)
  raw.socket.setNoDelay(true)
  let sent = false
  const listen = (): void => {
    if (raw.received() === '' || !sent || raw.socket.writableEnded) return
    if (ending === 'gone in the answer') raw.socket.destroy()
    else if (ending === 'half in the answer' || (ending === 'answered' && isAnswered(raw.received(), methods))) raw.socket.end()
  }
  raw.socket.on('data', listen)
  try {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0 && pauseMs !== undefined) await delay(pauseMs)
      if (raw.socket.destroyed) break
      raw.send(piece)
    }
    sent = true
    listen()
    if (ending === 'half') raw.socket.end()
    if (ending === 'gone') {
      await delay(pieces.reduce((sum, { length }) => sum + length, 0) % 10)
      raw.socket.destroy()
    }
    await raw.closed
    return ending === 'gone in the answer' ? { answers: [], rest: '' } : answersIn(raw.received(), methods)
  } finally {
    raw.socket.destroy()
  }
}
