import type { IncomingHttpHeaders } from 'node:http'

/** A request that says nothing of its connection, and how long its body is. Of its headers only those that are read are here. */
export type PlainRequest = {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly headBytes: number
  readonly bodyBytes: number
}

/** Above this, a head is no usual one. */
const MAX_HEAD_BYTES = 8 * 1024

const REQUEST_LINE = /^(GET|HEAD|POST|PATCH|PUT) (\/v2\/[!-~]*) HTTP\/1\.1\r\n/
/** Whatever else a length may look like, node:http says what is wrong with it. */
const LENGTH = /^\d{1,15}$/
/**
 * A field line (RFC 9112 §5): a name, and a value without control characters. All spaces go before a value that is not there, never some
 * before and some behind it: to try each way to share out thousands of them takes 100 ms.
 */
const FIELD = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(?![ \t])([!-~\u0080-\u00ff](?:[ \t!-~\u0080-\u00ff]*[!-~\u0080-\u00ff])?)?[ \t]*\r\n/y

/**
 * Reads bytes that begin with the whole head of a plain request to /v2, in HTTP/1.1: GET or HEAD without a body; POST, PATCH or PUT
 * with one Content-Length, of whose body some may be there; one Host, no header of the connection's own but `Connection: keep-alive`,
 * none of the headers read here twice, nothing after it. Undefined for everything else, however well formed: node:http reads that. So
 * whatever two readers could understand differently is read by one.
 */
export function parsePlainRequest(bytes: Buffer): PlainRequest | undefined {
  const headBytes = bytes.indexOf('\r\n\r\n') + 4
  if (headBytes < 4 || headBytes > MAX_HEAD_BYTES) return undefined
  const text = bytes.toString('latin1', 0, headBytes)
  const line = REQUEST_LINE.exec(text)
  if (line === null) return undefined
  const [first, method = '', url = ''] = line
  const headers: IncomingHttpHeaders = {
    host: undefined,
    authorization: undefined,
    'user-agent': undefined,
    range: undefined,
    'if-range': undefined,
    'if-none-match': undefined,
    'x-forwarded-for': undefined,
    forwarded: undefined,
    'content-length': undefined,
    'content-range': undefined,
    'content-type': undefined,
  }
  const end = text.length - 2
  let at = first.length
  while (at < end) {
    FIELD.lastIndex = at
    const field = FIELD.exec(text)
    if (field === null) return undefined
    const name = (field[1] ?? '').toLowerCase()
    const value = field[2] ?? ''
    switch (name) {
      case 'host':
      case 'authorization':
      case 'user-agent':
      case 'range':
      case 'if-range':
      case 'if-none-match':
      case 'x-forwarded-for':
      case 'forwarded':
      case 'content-length':
      case 'content-range':
      case 'content-type':
        if (headers[name] !== undefined) return undefined
        headers[name] = value
        break
      case 'connection':
        if (value.toLowerCase() !== 'keep-alive') return undefined
        break
      case 'transfer-encoding':
      case 'expect':
      case 'upgrade':
      case 'te':
      case 'trailer':
      case 'http2-settings':
      case 'proxy-connection':
        return undefined
    }
    at = FIELD.lastIndex
  }
  if (at !== end || headers.host === undefined) return undefined
  const length = headers['content-length']
  const hasBody = method !== 'GET' && method !== 'HEAD'
  if (hasBody ? length === undefined || !LENGTH.test(length) : length !== undefined) return undefined
  const bodyBytes = Number(length ?? 0)
  return bytes.length > headBytes + bodyBytes ? undefined : { method, url, headers, headBytes, bodyBytes }
}
