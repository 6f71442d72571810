import { written } from './conversation.ts'
import { withHeader } from './requests.ts'
import type { Request } from './requests.ts'
import type { RawKind, Script } from './script.ts'

/** What another request would look like that hides in the body or the headers of one. */
const SMUGGLED: Request = { method: 'GET', path: '/v2/smuggled', query: [], headers: [], body: undefined }
const MAX_HEAD_BYTES = 80 * 1024

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const bodyOf = (request: Request): Buffer => request.body ?? Buffer.from('abc')
const bodiless = (request: Request): Request => ({ ...request, body: undefined })

function lied(request: Request, length: number | string): Buffer {
  return written({ ...request, body: bodyOf(request) }, { more: [`Content-Length: ${length}`], framed: false })
}

function chunked(request: Request, chunks: Buffer | string, more: readonly string[] = []): Buffer {
  return Buffer.concat([written(bodiless(request), { more: ['Transfer-Encoding: chunked', ...more] }), typeof chunks === 'string' ? bytes(chunks) : chunks])
}

const chunk = (piece: Buffer, extension = ''): Buffer => Buffer.concat([bytes(`${piece.length.toString(16)}${extension}\r\n`), piece, bytes('\r\n')])

/** Headers that no reader may take two ways, so none may be taken at all. */
function refused(request: Request, more: readonly string[], rest = ''): Script {
  return { pieces: [Buffer.concat([written(bodiless(request), { more }), bytes(rest)])], requests: [request], owed: 0, broken: 'surely' }
}

const hidden = `0\r\n\r\n${written(SMUGGLED).toString('latin1')}`

/** Bodies that are not what their framing says, and heads that say it in two ways. */
export const FRAMING: Readonly<Record<string, RawKind>> = {
  'a length that promises more': (request) => ({ pieces: [lied(request, bodyOf(request).length + 10)], ending: 'half', requests: [request], owed: 0, broken: 'maybe' }),
  'a length that promises less': (request, random) => ({
    pieces: [lied(request, 1), bytes(random.pick(['xxxxxxxxxx\r\n\r\n', '\0', '{}', 'HTTP/1.1 200 OK\r\n\r\n']))],
    ending: 'half',
    requests: [{ ...request, body: bodyOf(request).subarray(0, 1) }],
    broken: 'maybe',
  }),
  'a length that is none': (request, random) => refused(request, [`Content-Length: ${random.pick(['-1', '+1', '1 1', '0x1', '1e3', '9'.repeat(30), '\u00ff', 'x', '5, 5', '1;', '"1"'])}`], 'abc'),
  'two lengths': (request, random) => refused(request, random.pick([['Content-Length: 5', 'Content-Length: 6'], ['Content-Length: 5', 'content-length: 5'], ['Content-Length: 0', 'X: y', 'CONTENT-LENGTH: 40']]), hidden),
  'a length and chunks': (request, random) => {
    const both = [`Content-Length: ${random.pick([0, 5, hidden.length])}`, `${random.pick(['Transfer-Encoding', 'transfer-encoding', 'TRANSFER-ENCODING'])}: ${random.pick(['chunked', 'Chunked', ' chunked '])}`]
    return refused(request, random.below(2) === 0 ? both : both.reverse(), hidden)
  },
  'another encoding': (request, random) =>
    refused(request, [random.pick(['Transfer-Encoding: xchunked', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: identity', 'Transfer-Encoding: chunked, identity', 'Transfer-Encoding:', 'Transfer-Encoding:\u000bchunked', 'Transfer-Encoding : chunked', 'Transfer-Encoding: chunked\u0000'])], hidden),
  'lines that are no headers': (request, random) =>
    refused(request, [random.pick([
      'X : y', 'X\t: y', 'X: a\u0000b', 'X: a\r\n b', 'X: a\r\n\tTransfer-Encoding: chunked', 'X: a\nTransfer-Encoding: chunked', ': x', 'X', 'X: a\rb', '\u00e9: x', 'X(: y', 'Content-Length\u0000: 5', ' X: y',
    ])], hidden),
  'chunks that lie': (request, random) => ({
    pieces: [chunked(request, random.pick([
      '5\r\nab', 'zz\r\n', '2\r\nabc\r\n0\r\n\r\n', 'ffffffffffffffff1\r\na', '-1\r\n', '2;x="\r\nab\r\n0\r\n\r\n', '2\nab\n0\n\n', '0\r\nX: \u0000\r\n\r\n', '1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n', '0x2\r\nab\r\n0\r\n\r\n', ' 2\r\nab\r\n0\r\n\r\n', '\r\n2\r\nab\r\n',
    ]))],
    ending: 'half', requests: [request], owed: 0, broken: 'maybe',
  }),
  'chunks without an end': (request, random) => ({
    pieces: [chunked(request, random.pick(['', '3\r\nabc\r\n', '3\r\nabc', '3\r\nabc\r\n0\r\n', '3\r\nabc\r\n0', '3']))],
    ending: 'half', requests: [request], owed: 0, broken: 'maybe',
  }),
  'chunks with extensions': (request, random) => {
    const body = bodyOf(request)
    const half = random.below(body.length + 1)
    const extension = random.pick([';a', ';a=b', ';a=b;c="d e"', ';x=y;x=y'])
    const parts = [body.subarray(0, half), body.subarray(half)].filter((part) => part.length > 0)
    const chunks = Buffer.concat([...parts.map((part) => chunk(part, extension)), bytes(random.pick(['0\r\n\r\n', '0;last\r\n\r\n', '000\r\nX-Trailer: x\r\nAuthorization: x\r\n\r\n']))])
    return { pieces: [chunked(request, chunks)], requests: [{ ...request, body }] }
  },
  'chunks that are too long': (request, random) => ({
    pieces: [chunked(request, Buffer.concat([chunk(bodyOf(request), random.pick([`;${'x'.repeat(20_000)}`, `;${'x=y;'.repeat(5_000)}`])), bytes('0\r\n\r\n')]))],
    ending: 'half', requests: [request], owed: 0, broken: 'maybe',
  }),
  'chunks in pieces': (request) => {
    const body = bodyOf(request).subarray(0, 20)
    return { pieces: [chunked(request, ''), ...[...body].map((byte) => chunk(Buffer.from([byte]))), bytes('0\r\nX-Trailer: x\r\n\r\n')], pauseMs: 0, requests: [{ ...request, body }] }
  },
  'a request in a body': (request, random, next) => {
    const inner = written(SMUGGLED)
    const second = next()
    const outer = { ...request, body: inner }
    const sized = random.below(2) === 0
    const first = sized ? written(outer) : chunked(request, Buffer.concat([chunk(inner), bytes('0\r\n\r\n')]))
    // Chunks that nobody asked for have no known end, so the connection may end with the answer.
    const whole = Buffer.concat([first, written(second)])
    // Or the head comes alone, and looks like all there is.
    const head = whole.indexOf('\r\n\r\n') + 4
    const pieces = random.below(2) === 0 ? [whole] : [whole.subarray(0, head), whole.subarray(head)]
    return { pieces, pauseMs: 3, requests: [outer, second], owed: sized ? 2 : 1 }
  },
  'very many headers': (request, random) => {
    const count = random.pick([100, 900, 3_000])
    const piece = written(request, { more: Array.from({ length: count }, (_, index) => `X-${index}: y`) })
    return count > 1_000 ? { pieces: [piece], requests: [request], owed: 0, broken: 'maybe' } : { pieces: [piece], requests: [request] }
  },
  'a head of nearly 80 KiB': (request, random) => {
    const size = written(bodiless(request)).length
    const long = MAX_HEAD_BYTES - size - 100 - random.below(10)
    const piece = written(request, { more: [`X: ${'y'.repeat(long)}`] })
    const cut = random.below(piece.length)
    return { pieces: random.below(2) === 0 ? [piece] : [piece.subarray(0, cut), piece.subarray(cut)], pauseMs: 1, requests: [request] }
  },
  'a head above 80 KiB': (request, random) => ({
    pieces: [written(bodiless(withHeader(request, random.pick(['X', 'User-Agent', 'Cookie', 'If-None-Match']), 'y'.repeat(MAX_HEAD_BYTES + random.below(10)))))],
    requests: [request], owed: 0, broken: 'surely',
  }),
}
