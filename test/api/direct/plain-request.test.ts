import { describe, expect, test } from '@jest/globals'
import { parsePlainRequest } from '../../../src/api/direct/plain-request.ts'

const PATH = '/v2/p/app/manifests/v1'
const parse = (text: string) => parsePlainRequest(Buffer.from(text, 'latin1'))
const get = (...lines: string[]): string => [`GET ${PATH} HTTP/1.1`, 'Host: h', ...lines, '', ''].join('\r\n')

describe('a plain request', () => {
  test('is read with the headers that count', () => {
    const text = get('Authorization: Basic eA==', 'user-agent:docker/1 (linux)  ', 'RANGE: bytes=0-1', 'Accept: a/b', 'Accept: c/d', 'X-Forwarded-For:\t192.0.2.1')
    expect(parse(text)).toMatchObject({
      headBytes: text.length,
      bodyBytes: 0,
      method: 'GET',
      url: PATH,
      headers: { host: 'h', authorization: 'Basic eA==', 'user-agent': 'docker/1 (linux)', range: 'bytes=0-1', 'x-forwarded-for': '192.0.2.1' },
    })
  })

  test.each([
    ['HEAD', get().replace('GET', 'HEAD')],
    ['the base', get().replace(PATH, '/v2/')],
    ['a query', get().replace(PATH, '/v2/p/app/tags/list?n=1')],
    ['a connection that stays', get('Connection: Keep-Alive')],
    ['an empty value', get('Accept:')],
    ['a value with bytes above ASCII', get('User-Agent: \u00e9')],
    ['a head at the bound', get(`X-Long: ${'a'.repeat(8 * 1024 - get('X-Long: ').length)}`)],
  ])('may be %s', (_, text) => {
    expect(parse(text)).toBeDefined()
  })

  test.each([
    ['another method', get().replace('GET', 'PUT')],
    ['a method in lower case', get().replace('GET', 'get')],
    ['another path', get().replace(PATH, '/readyz')],
    ['/v2 alone', get().replace(PATH, '/v2')],
    ['a whole URL', get().replace(PATH, `http://h${PATH}`)],
    ['a space in the path', get().replace(PATH, '/v2/p /x')],
    ['a fragment of UTF-8 in the path', get().replace(PATH, '/v2/p\u00e9')],
    ['HTTP/1.0', get().replace('1.1', '1.0')],
    ['no Host', get().replace('Host: h\r\n', '')],
    ['two Hosts', get('Host: h')],
    ['two Authorizations', get('Authorization: a', 'Authorization: b')],
    ['two Ranges', get('Range: bytes=0-0', 'range: bytes=0-1')],
    ['a length', get('Content-Length: 0')],
    ['chunks', get('Transfer-Encoding: chunked')],
    ['a wish to be asked', get('Expect: 100-continue')],
    ['a closing connection', get('Connection: close')],
    ['a connection that names a header', get('Connection: keep-alive, Authorization')],
    ['an upgrade', get('Upgrade: h2c')],
    ['trailers', get('TE: trailers')],
    ['a second request after it', get() + get()],
    ['a byte after it', `${get()}x`],
    ['its first half', get().slice(0, 30)],
    ['all but its last byte', get().slice(0, -1)],
    ['an empty head', '\r\n\r\n'],
    ['an empty line before it', `\r\n${get()}`],
    ['a line feed alone', get('X: 1').replace('X: 1\r\n', 'X: 1\n')],
    ['line feeds only', get().replaceAll('\r\n', '\n')],
    ['a carriage return in a value', get('X: 1\r2')],
    ['U+0000 in a value', get('X: 1\u00002')],
    ['a control character in a value', get('X: 1\u00012')],
    ['a folded line', get('X: 1', ' 2')],
    ['a space before the colon', get('X : 1')],
    ['a line without a colon', get('X')],
    ['a name that is none', get('X(: 1')],
    ['an empty name', get(': 1')],
    ['a head above the bound', get(`X-Long: ${'a'.repeat(8 * 1024 - get('X-Long: ').length + 1)}`)],
  ])('is not %s', (_, text) => {
    expect(parse(text)).toBeUndefined()
  })

  test('a run of spaces takes no longer than other bytes', () => {
    const text = get(`X:${' '.repeat(8_000)}\u0001`)
    const began = performance.now()
    for (let times = 0; times < 100; times += 1) expect(parse(text)).toBeUndefined()
    // Some ms; it was 10 s.
    expect(performance.now() - began).toBeLessThan(5_000)
  })
})
