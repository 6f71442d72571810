import { connect } from 'node:net'
import type { Socket } from 'node:net'

export type Answer = { readonly status: number; readonly bodyBytes: number }

export type Connection = {
  /** Sends a request as it stands and throws the answer's body away. One at a time. */
  readonly ask: (request: string) => Promise<Answer>
  readonly socket: Socket
}

/** Every connection reads into the same memory, since nothing of it is kept. */
const shared = Buffer.allocUnsafe(256 * 1024)

/** A connection that costs a client as little as may be. Answers must have a Content-Length; what breaks rejects the request under way. */
export async function openConnection(port: number): Promise<Connection> {
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void; readonly bodiless: boolean } | undefined
  let head = ''
  let status = 0
  let [left, bodyBytes] = [-1, 0]

  function take(length: number): boolean {
    let from = 0
    if (left < 0) {
      const before = head.length
      head += shared.toString('latin1', 0, length)
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return true
      from = end + 4 - before
      status = Number(head.slice(9, 12))
      bodyBytes = waiting?.bodiless === true ? 0 : Number(/\r\ncontent-length: *(\d+)/i.exec(head.slice(0, end))?.[1] ?? NaN)
      left = bodyBytes
      head = ''
    }
    left -= length - from
    if (left === 0 || Number.isNaN(left)) finish()
    return true
  }

  function finish(): void {
    const done = waiting
    waiting = undefined
    if (Number.isNaN(left)) done?.reject(new Error(`an answer ${status} without Content-Length`))
    else done?.resolve({ status, bodyBytes })
    left = -1
  }

  const fail = (error: Error): void => {
    waiting?.reject(error)
    waiting = undefined
  }
  const socket = connect({ host: '127.0.0.1', port, noDelay: true, onread: { buffer: shared, callback: take } })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })
  socket.on('error', fail).on('close', () => {
    fail(new Error('the connection was closed'))
  })
  return {
    socket,
    ask: (request) =>
      new Promise<Answer>((resolve, reject) => {
        waiting = { resolve, reject, bodiless: request.startsWith('HEAD ') }
        socket.write(request, 'latin1')
      }),
  }
}

/** The text of a request without a body. */
export function requestText(method: 'GET' | 'HEAD', path: string, headers: Readonly<Record<string, string>>): string {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields.join('')}\r\n`
}
