import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Metrics } from '../metrics.ts'
import { LINGER_MS, MAX_DRAINED_BYTES, SILENCE_MS, headersOf, isBodiless, isClientGone, pump } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { Body, OciAnswerer } from '../oci/router.ts'
import type { DirectConnections } from '../server.ts'
import type { ServerLog } from '../server-log.ts'
import { createIncomingBody } from './incoming-body.ts'
import type { IncomingBody } from './incoming-body.ts'
import { readIntoOwnMemory } from './own-memory.ts'
import { parsePlainRequest } from './plain-request.ts'
import type { PlainRequest } from './plain-request.ts'

/** A body up to this size goes in one write with its head, as one string. */
const MAX_JOINED_BYTES = 64 * 1024

/** What all connections read into between bodies: what came is read before anything else can come. */
const HEADS = Buffer.allocUnsafeSlow(64 * 1024)

const NO_BODY: Body = {
  // eslint-disable-next-line @typescript-eslint/require-await -- an AsyncIterable of nothing
  async *read() {
    yield* []
  },
  failed: () => false,
}

/**
 * Answers plain requests to /v2 on the connection itself: in a storm of pulls, half of what an answer costs would be node:http's objects
 * for it (docs/performance/pull.md), and in a push, what it copies (push.md). Its connections go on as node:http's do: the same headers,
 * the same time to be idle.
 */
export function createDirectConnections(options: {
  readonly answer: OciAnswerer
  readonly handOver: (socket: Socket) => void
  readonly metrics: Pick<Metrics, 'began'>
  readonly logger: Pick<ServerLog, 'error'>
  /** How long a connection may be idle. */
  readonly keepAliveMs: number
  /** How long a client may send nothing of a body that is waited for. */
  readonly bodyIdleMs: number
}): DirectConnections {
  const { answer, handOver, metrics, logger, keepAliveMs, bodyIdleMs } = options
  /** Closes each connection, if it is idle. */
  const stops = new Map<Socket, () => void>()
  const keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`
  let stopping = false

  function take(accepted: Socket): Socket {
    /** What came while an answer is under way. */
    let held: Buffer | undefined
    let body: IncomingBody | undefined
    let silenceMs = bodyIdleMs
    let idle = true
    let ended = false
    let handedOver = false
    const memory = (): Uint8Array => (body !== undefined && body.bytesLeft() > 0 ? body.memory() : HEADS)
    const own = readIntoOwnMemory(accepted, { memory, take: onBytes })
    const socket = own ?? accepted

    /** Takes bytes that are there until this returns; false where no more are wanted for now. */
    function onBytes(bytes: Buffer): boolean {
      // What node:http does not read from the connection itself it expects as of any socket.
      if (handedOver) return socket.push(Buffer.from(bytes))
      if (body !== undefined && body.bytesLeft() > 0) {
        const left = body.bytesLeft()
        if (bytes.length > left) hold(bytes.subarray(left))
        body.add(bytes.subarray(0, left))
        return body.bytesLeft() === 0 && held === undefined
      }
      if (!idle) {
        hold(bytes)
        return false
      }
      const request = parsePlainRequest(bytes)
      if (request === undefined) {
        giveUp(bytes)
        return true
      }
      begin(request, bytes.subarray(request.headBytes))
      return body === undefined || body.bytesLeft() === 0 || body.isAwaited()
    }

    function hold(bytes: Buffer): void {
      held = held === undefined ? Buffer.from(bytes) : Buffer.concat([held, bytes])
    }

    function begin(request: PlainRequest, first: Buffer): void {
      idle = false
      if (request.bodyBytes > 0) {
        body = createIncomingBody(request.bodyBytes, () => {
          socket.setTimeout(silenceMs)
          socket.resume()
        })
        if (first.length > 0) body.add(Buffer.from(first))
      }
      void respond(request)
    }

    async function respond(request: PlainRequest): Promise<void> {
      const requestId = randomUUID()
      const { bytesWritten } = socket
      const finish = metrics.began(request.method, request.url)
      let status: number | undefined
      try {
        const reply = await answer({ ...request, socket }, body ?? NO_BODY, requestId)
        if (!socket.destroyed) {
          status = reply.status
          await write(request.method, reply, requestId)
        }
      } catch (error) {
        // As for node:http: the client left, or the source failed, and a cut connection says so.
        if (!isClientGone(error)) logger.error({ requestId, err: error }, 'an answer could not be written')
        socket.destroy()
      }
      const receivedBytes = request.headBytes + request.bodyBytes - (body?.bytesLeft() ?? 0)
      finish({ status, receivedBytes, sentBytes: socket.bytesWritten - bytesWritten })
      const whole = body === undefined || (await leave(body))
      body = undefined
      next(whole)
    }

    /** Whether the connection can go on after this body. */
    async function leave(left: IncomingBody): Promise<boolean> {
      const isWorthIt = left.bytesLeft() <= MAX_DRAINED_BYTES
      silenceMs = isWorthIt ? bodyIdleMs : SILENCE_MS
      // Closing a connection over unread bytes resets it, and the client may lose the answer.
      const timer = setTimeout(() => { left.fail(new Error('the rest of a body was not waited for')) }, isWorthIt ? bodyIdleMs : LINGER_MS)
      await left.drop()
      clearTimeout(timer)
      left.end()
      silenceMs = bodyIdleMs
      socket.setTimeout(keepAliveMs)
      return isWorthIt && left.bytesLeft() === 0
    }

    function write(method: string, reply: Reply, requestId: string): Promise<void> | void {
      const { status, body: content, stream } = reply
      const last = stopping || ended || (body !== undefined && (body.failed() || body.bytesLeft() > MAX_DRAINED_BYTES))
      const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
      const headers = fieldLines(headersOf(reply, requestId))
      const head = `${statusLine}${headers}Date: ${httpDate()}\r\n${last ? 'Connection: close\r\n\r\n' : keepAlive}`
      if (isBodiless(method, status) || (content === undefined && stream === undefined)) socket.write(head, 'latin1')
      else if (stream !== undefined) {
        socket.write(head, 'latin1')
        return pump(stream.bytes, socket)
      } else if (Buffer.isBuffer(content) && content.length <= MAX_JOINED_BYTES) socket.write(head + content.toString('latin1'), 'latin1')
      else if (content !== undefined) {
        socket.cork()
        socket.write(head, 'latin1')
        socket.write(content)
        socket.uncork()
      }
      // A client that asks on without reading would otherwise gather answers here.
      return socket.writableNeedDrain ? drained() : undefined
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

    function next(goesOn: boolean): void {
      if (socket.destroyed) return
      idle = true
      if (!goesOn) socket.end()
      else if (held !== undefined) {
        const bytes = held
        held = undefined
        if (onBytes(bytes)) socket.resume()
      } else if (stopping || ended) socket.end()
    }

    function giveUp(bytes: Buffer): void {
      handedOver = true
      stops.delete(socket)
      socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose).off('timeout', onTimeout)
      socket.setTimeout(0)
      // node:http reads what was unread in the next turn, when it has its listeners in place.
      socket.pause()
      socket.unshift(Buffer.from(bytes))
      handOver(socket)
      process.nextTick(() => socket.resume())
    }

    const onData = (bytes: Buffer): void => {
      if (!onBytes(bytes)) socket.pause()
    }
    const onEnd = (): void => {
      ended = true
      body?.fail(new Error('the client ended in the middle of a body'))
      if (idle) socket.end()
    }
    const onClose = (): void => {
      stops.delete(socket)
      body?.fail(new Error('the client left in the middle of a body'))
    }
    const onError = (): void => {
      socket.destroy()
    }
    const onTimeout = (): void => {
      if (idle) socket.destroy()
      else if (body?.isAwaited() === true) body.fail(new Error('the client stopped in the middle of a body'))
    }
    stops.set(socket, () => {
      if (idle) socket.destroy()
    })
    socket.setTimeout(keepAliveMs)
    socket.on('end', onEnd).on('error', onError).on('close', onClose).on('timeout', onTimeout)
    if (own === undefined) socket.on('data', onData)
    else socket.resume()
    return socket
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
