import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Metrics } from '../metrics.ts'
import { headersOf, isBodiless, isClientGone } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { Body, OciAnswerer } from '../oci/router.ts'
import type { RequestHead } from '../request-head.ts'
import type { DirectConnections, ServerLog } from '../server.ts'
import { parsePlainRequest } from './plain-request.ts'

/** A body up to this size goes in one write with its head, as one string. */
const MAX_JOINED_BYTES = 64 * 1024

const NO_BODY: Body = {
  // eslint-disable-next-line @typescript-eslint/require-await -- an AsyncIterable of nothing
  async *read() {
    yield* []
  },
  failed: () => false,
}

/**
 * Answers plain requests to /v2 on the connection itself: in a storm of pulls, half of what an answer costs would be node:http's objects
 * for it (docs/performance/pull.md). Its connections go on as node:http's do: the same headers, the same time to be idle.
 */
export function createDirectConnections(options: {
  readonly answer: OciAnswerer
  readonly handOver: (socket: Socket) => void
  readonly metrics: Pick<Metrics, 'began'>
  readonly logger: Pick<ServerLog, 'error'>
  /** How long a connection may be idle. */
  readonly keepAliveMs: number
}): DirectConnections {
  const { answer, handOver, metrics, logger, keepAliveMs } = options
  /** Closes each connection, if it is idle. */
  const stops = new Map<Socket, () => void>()
  const keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`
  let stopping = false

  function take(socket: Socket): void {
    /** What came while an answer is under way. */
    let held: Buffer | undefined
    let idle = true
    let ended = false

    function onData(bytes: Buffer): void {
      if (!idle) {
        held = held === undefined ? bytes : Buffer.concat([held, bytes])
        socket.pause()
        return
      }
      const request = parsePlainRequest(bytes)
      if (request === undefined) giveUp(bytes)
      else {
        idle = false
        void respond({ ...request, socket }, bytes.length)
      }
    }

    async function respond(request: RequestHead, receivedBytes: number): Promise<void> {
      const requestId = randomUUID()
      const { bytesWritten } = socket
      const finish = metrics.began(request.method, request.url)
      let status: number | undefined
      try {
        const reply = await answer(request, NO_BODY, requestId)
        if (!socket.destroyed) {
          status = reply.status
          await write(request.method, reply, requestId)
        }
      } catch (error) {
        // As for node:http: the client left, or the source failed, and a cut connection says so.
        if (!isClientGone(error)) logger.error({ requestId, err: error }, 'an answer could not be written')
        socket.destroy()
      }
      finish({ status, receivedBytes, sentBytes: socket.bytesWritten - bytesWritten })
      next()
    }

    function write(method: string | undefined, reply: Reply, requestId: string): Promise<void> | void {
      const { status, body, stream } = reply
      const last = stopping || ended
      const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
      const headers = fieldLines(headersOf(reply, requestId))
      const head = `${statusLine}${headers}Date: ${httpDate()}\r\n${last ? 'Connection: close\r\n\r\n' : keepAlive}`
      if (isBodiless(method, status) || (body === undefined && stream === undefined)) socket.write(head, 'latin1')
      else if (stream !== undefined) {
        socket.write(head, 'latin1')
        return pump(stream.bytes)
      } else if (Buffer.isBuffer(body) && body.length <= MAX_JOINED_BYTES) socket.write(head + body.toString('latin1'), 'latin1')
      else if (body !== undefined) {
        socket.cork()
        socket.write(head, 'latin1')
        socket.write(body)
        socket.uncork()
      }
      // A client that asks on without reading would otherwise gather answers here.
      return socket.writableNeedDrain ? drained() : undefined
    }

    async function pump(bytes: AsyncIterable<Buffer>): Promise<void> {
      for await (const piece of bytes) {
        if (!socket.write(piece)) await drained()
        if (socket.destroyed) return
      }
    }

    /** Also when the connection is closed: then nothing will drain any more. */
    function drained(): Promise<void> {
      return new Promise((resolve) => {
        const done = (): void => {
          socket.off('drain', done).off('close', done)
          resolve()
        }
        socket.on('drain', done).on('close', done)
        if (socket.destroyed) done()
      })
    }

    function next(): void {
      if (socket.destroyed) return
      idle = true
      if (held !== undefined) {
        const bytes = held
        held = undefined
        socket.resume()
        onData(bytes)
      } else if (stopping || ended) socket.end()
    }

    function giveUp(bytes: Buffer): void {
      stops.delete(socket)
      socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose).off('timeout', onTimeout)
      socket.setTimeout(0)
      // node:http reads what was unread in the next turn, when it has its listeners in place.
      socket.pause()
      socket.unshift(bytes)
      handOver(socket)
      process.nextTick(() => socket.resume())
    }

    const onEnd = (): void => {
      ended = true
      if (idle) socket.end()
    }
    const onClose = (): void => {
      stops.delete(socket)
    }
    const onError = (): void => {
      socket.destroy()
    }
    const onTimeout = (): void => {
      if (idle) socket.destroy()
    }
    stops.set(socket, onTimeout)
    socket.setTimeout(keepAliveMs)
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose).on('timeout', onTimeout)
  }

  return {
    take,
    stop() {
      stopping = true
      for (const stopIdle of stops.values()) stopIdle()
    },
  }
}

/** What no header's value may hold: it would end its line. */
const CONTROL = /[^\t\x20-\x7e\x80-\xff]/

function fieldLines(headers: readonly string[]): string {
  let text = ''
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = [headers[index], headers[index + 1]]
    if (CONTROL.test(value)) throw new Error(`the header ${name} holds a control character`)
    text += `${name}: ${value}\r\n`
  }
  return text
}

let date = { second: 0, text: '' }

/** Now, as the Date header says it (RFC 9110 §5.6.7). */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== date.second) date = { second, text: new Date(second * 1000).toUTCString() }
  return date.text
}
