import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Its code, where it has one. Not by `instanceof`: errors of Node's own may be of another realm. */
export function errorCode(error: object): unknown {
  return 'code' in error ? error.code : undefined
}

const BROKEN = JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message: 'this is no request that is understood here' }] })

/** The whole answer to what is no request, so that it, too, is one that a client of the registry can read. */
export function brokenAnswer(status: string, head = false): string {
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${BROKEN.length}\r\n\r\n${head ? '' : BROKEN}`
}

/** Whether what could not be read began as a HEAD, whose answer has no body. */
function wasHead(error: object): boolean {
  return 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) && error.rawPacket.subarray(0, 5).toString('latin1') === 'HEAD '
}

/** Whether a request is one that is spoken here: its version, one Host (RFC 9112 §3.2), and no coding of its body but chunks (§6.1). */
export function isUnderstood({ rawHeaders, headers, httpVersion }: IncomingMessage): boolean {
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

/** Answers what could not be read as a request; `underWay` is the answer that its connection was about to give. */
export function answerBroken(error: Error, socket: Duplex, underWay: ServerResponse | undefined): void {
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
}
