import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { registryClient, sha256 } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { codeIn, exchangeRaw, openRaw, problemWith, wireClient } from '../../support/wire.ts'
import type { Sent } from '../../support/wire.ts'

let server: VarveServer
let wire: ReturnType<typeof wireClient>

beforeAll(async () => {
  server = await startVarve({ env: { VARVE_TRUSTED_PROXIES: '127.0.0.1' } })
  wire = wireClient(server)
  await registryClient(server).pushImage('p/app', 'v1', Buffer.from('a layer'))
})

afterAll(() => {
  wire.close()
})

const DIGEST = `sha256:${'a'.repeat(64)}`
const UPLOAD = '/v2/p/app/blobs/uploads/00000000-0000-4000-8000-000000000000'

/** Status and code of an answer whose form is right. */
const asked = (method: string, path: string, sent: Sent = {}): Promise<string> => wire.asked(method, path, sent)

describe('the base', () => {
  test.each(['/v2/', '/v2', '/v2/?', '/v2?', '/v2/?a=b&c'])('%s tells that this is a registry', async (path) => {
    const answer = await wire.ask('GET', path)
    expect(answer).toMatchObject({ status: 200, headers: { 'docker-distribution-api-version': 'registry/2.0', 'content-type': 'application/json; charset=utf-8' } })
    expect(await asked('HEAD', path)).toBe('200')
  })

  test('a target may be a whole URL', async () => {
    for (const target of [`${server.url}/v2/`, 'http://anything/v2/p/app/tags/list', 'HTTPS://x/healthz']) expect(await asked('GET', target)).toBe('200')
    expect(await asked('GET', 'http://x/nowhere')).toBe('404 NAME_UNKNOWN')
    // The path is empty, so it is the page's.
    for (const target of ['http://x', 'http://x?/v2/']) expect(await asked('GET', target)).toBe('200')
  })

  test('nobody is told where to log in, and for what', async () => {
    const challenge = (rest: string): string => `Bearer realm="${server.url}/service/token",service="varve"${rest}`
    for (const [path, rest] of [['/v2/', ''], ['/v2/_catalog', ',scope="registry:catalog:*"'], ['/v2/p/app/manifests/v1', ',scope="repository:p/app:pull"']] as const) {
      const answer = await wire.ask('GET', path, { anonymous: true })
      expect([answer.status, codeIn(answer.body), answer.headers['www-authenticate']]).toEqual([401, 'UNAUTHORIZED', challenge(rest)])
    }
  })

  test.each([
    ['another scheme', 'Bearer x'],
    ['no credentials', 'Basic'],
    ['no base64', 'Basic %%%'],
    ['no colon', `Basic ${Buffer.from('admin').toString('base64')}`],
    ['a wrong password', `Basic ${Buffer.from('admin:wrong').toString('base64')}`],
    ['an unknown user', `Basic ${Buffer.from('root:an-admin-for-tests').toString('base64')}`],
    ['U+0000', `Basic ${Buffer.from('\u0000:\u0000').toString('base64')}`],
    ['odd bytes', 'Basic \u00ff\u00fe'],
  ])('%s for credentials is challenged', async (_, authorization) => {
    for (const path of ['/v2/', '/v2/p/app/manifests/v1', '/v2/BAD/manifests/v1', '/v2/nowhere']) {
      const answer = await wire.ask('GET', path, { headers: { Authorization: authorization }, anonymous: true })
      expect(problemWith('GET', answer)).toBeUndefined()
      expect([answer.status, codeIn(answer.body), answer.headers['www-authenticate']]).toEqual([401, 'UNAUTHORIZED', expect.stringMatching(/^Bearer realm="http:\/\/.*\/service\/token",service="varve"/)])
    }
  })
})

describe('methods', () => {
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']
  test.each([
    ['/v2/', 'GET, HEAD'],
    ['/v2/_catalog', 'GET, HEAD'],
    ['/v2/p/app/tags/list', 'GET, HEAD'],
    [`/v2/p/app/referrers/${DIGEST}`, 'GET, HEAD'],
    ['/v2/p/app/manifests/v1', 'GET, HEAD, PUT, DELETE'],
    [`/v2/p/app/blobs/${DIGEST}`, 'GET, HEAD, DELETE'],
    ['/v2/p/app/blobs/uploads/', 'POST'],
    [UPLOAD, 'GET, PATCH, PUT, DELETE'],
  ])('%s allows %s and no other', async (path, allowed) => {
    for (const method of METHODS.filter((each) => !allowed.split(', ').includes(each))) {
      const answer = await wire.ask(method, path)
      expect(problemWith(method, answer)).toBeUndefined()
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, allowed])
      if (method !== 'HEAD') expect(codeIn(answer.body)).toBe('UNSUPPORTED')
    }
  })
})

describe('names', () => {
  const longest = `p/${'a'.repeat(253)}`
  test.each([
    ['upper case', 'P/app'],
    ['a dot at the beginning', '.p/app'],
    ['..', 'p/../app'],
    ['.', 'p/./app'],
    ['an encoded slash', 'p%2Fapp'],
    ['an encoded slash in lower case', 'p%2fapp'],
    ['encoded dots', 'p/%2e%2e/app'],
    ['an encoded letter', '%70/app'],
    ['a broken escape', 'p/%zz'],
    ['an empty part', 'p//app'],
    ['an empty part first', '/p/app'],
    ['an empty part last', 'p/app/'],
    ['a backslash', 'p\\app'],
    ['a space', 'p/%20'],
    ['a colon', 'p:80/app'],
    ['an at', 'p@app'],
    ['two dots', 'p..q/app'],
    ['three underscores', 'p___q/app'],
    ['a dash at the end', 'p-/app'],
    ['a letter beyond ASCII', 'p/%C3%A9'],
    ['256 characters', `${longest}a`],
    ['very many parts', 'a/'.repeat(5_000) + 'a'],
    ['very many dashes', '-'.repeat(10_000)],
  ])('%s is no name', async (_, name) => {
    const routes: [string, string][] = [
      ['GET', 'manifests/v1'],
      ['PUT', 'manifests/v1'],
      ['DELETE', 'manifests/v1'],
      ['GET', `blobs/${DIGEST}`],
      ['DELETE', `blobs/${DIGEST}`],
      ['POST', 'blobs/uploads/'],
      ['PATCH', 'blobs/uploads/00000000-0000-4000-8000-000000000000'],
      ['GET', 'tags/list'],
      ['GET', `referrers/${DIGEST}`],
    ]
    for (const [method, rest] of routes) expect(await asked(method, `/v2/${name}/${rest}`)).toBe('400 NAME_INVALID')
  })

  test('255 characters, and every character and separator that is allowed, are one', async () => {
    for (const name of [longest, 'a/b_c__d.e--f/0', 'manifests/manifests', 'blobs/uploads/blobs', 'a/tags/list', 'x/referrers/y']) {
      expect(await asked('POST', `/v2/${name}/blobs/uploads/`)).toBe('202')
    }
  })

  test.each(['asof', 'v2', 'api', 'service'])('no project is created as %s', async (project) => {
    expect(await asked('POST', `/v2/${project}/app/blobs/uploads/`)).toBe('400 NAME_INVALID')
    expect(await asked('GET', `/v2/${project}/app/tags/list`)).toBe('404 NAME_UNKNOWN')
    // A path in `library`, not a project.
    expect(await asked('POST', `/v2/${project}/blobs/uploads/`)).toBe('202')
  })

  test.each(['//v2/', '/v2//', '/V2/', '/v2/x', '/v2/p/app', '/v2/p/app/manifests/', '/v2/p/app/manifests/a/b', '/v2/p/app/tags', '/v2/_catalog/', '/nothing', '/v3/', '/%2e%2e/v2/', '*', '/%zz'])(
    '%s leads nowhere',
    async (path) => {
      expect(await asked('GET', path)).toBe('404 NAME_UNKNOWN')
      expect(await asked('POST', path, { body: 'x' })).toBe('404 NAME_UNKNOWN')
    },
  )

  test('app is a spelling of library/app', async () => {
    await registryClient(server).pushImage('app', 'v1', Buffer.from('a layer'))
    expect(await asked('GET', '/v2/library/app/manifests/v1')).toBe('200')
  })
})

describe('references and digests', () => {
  test.each([
    ['a tag of 129 characters', 'a'.repeat(129), 'MANIFEST_INVALID'],
    ['a dot first', '.v1', 'MANIFEST_INVALID'],
    ['a dash first', '-v1', 'MANIFEST_INVALID'],
    ['..', '..', 'MANIFEST_INVALID'],
    ['an escape', 'v%31', 'MANIFEST_INVALID'],
    ['a plus', 'v+1', 'MANIFEST_INVALID'],
    ['U+0000', 'v%00', 'MANIFEST_INVALID'],
    ['another algorithm', `sha384:${'a'.repeat(96)}`, 'DIGEST_INVALID'],
    ['md5', `md5:${'a'.repeat(32)}`, 'DIGEST_INVALID'],
    ['upper case', `sha256:${'A'.repeat(64)}`, 'DIGEST_INVALID'],
    ['too short', `sha256:${'a'.repeat(63)}`, 'DIGEST_INVALID'],
    ['too long', `sha256:${'a'.repeat(65)}`, 'DIGEST_INVALID'],
    ['the length of the other', `sha512:${'a'.repeat(64)}`, 'DIGEST_INVALID'],
    ['an encoded colon', `sha256%3A${'a'.repeat(64)}`, 'MANIFEST_INVALID'],
    ['nothing after the colon', 'sha256:', 'DIGEST_INVALID'],
    ['nothing before it', ':abc', 'DIGEST_INVALID'],
  ])('%s is no reference', async (_, reference, code) => {
    for (const method of ['GET', 'PUT', 'DELETE']) expect(await asked(method, `/v2/p/app/manifests/${reference}`)).toBe(`400 ${code}`)
    for (const method of ['GET', 'DELETE']) expect(await asked(method, `/v2/p/app/blobs/${reference}`)).toBe('400 DIGEST_INVALID')
    expect(await asked('GET', `/v2/p/app/referrers/${reference}`)).toBe('400 DIGEST_INVALID')
    const encoded = encodeURIComponent(decodeURIComponent(reference))
    if (code === 'DIGEST_INVALID') {
      for (const parameter of ['digest', 'mount']) expect(await asked('POST', `/v2/p/app/blobs/uploads/?${parameter}=${encoded}`)).toBe('400 DIGEST_INVALID')
      expect(await asked('PUT', `${UPLOAD}?digest=${encoded}`)).toBe('400 DIGEST_INVALID')
    }
  })

  test('what is not there is unknown, each in its own words', async () => {
    for (const repository of ['p/app', 'p/other', 'nowhere/app']) {
      for (const reference of ['nope', 'a'.repeat(128), '_', DIGEST, `sha512:${'a'.repeat(128)}`]) {
        expect(await asked('GET', `/v2/${repository}/manifests/${reference}`)).toBe('404 MANIFEST_UNKNOWN')
        expect(await asked('HEAD', `/v2/${repository}/manifests/${reference}`)).toBe('404')
        expect(await asked('DELETE', `/v2/${repository}/manifests/${reference}`)).toBe('404 MANIFEST_UNKNOWN')
      }
      expect(await asked('GET', `/v2/${repository}/blobs/${DIGEST}`)).toBe('404 BLOB_UNKNOWN')
      expect(await asked('HEAD', `/v2/${repository}/blobs/${DIGEST}`)).toBe('404')
      expect(await asked('DELETE', `/v2/${repository}/blobs/${DIGEST}`)).toBe('404 BLOB_UNKNOWN')
      for (const [method, query] of [['GET', ''], ['PATCH', ''], ['PUT', `?digest=${DIGEST}`], ['DELETE', '']] as const) {
        for (const id of ['00000000-0000-4000-8000-000000000000', '..', 'x', '%00', 'ABCDEF00-0000-4000-8000-000000000000']) {
          expect(await asked(method, `/v2/${repository}/blobs/uploads/${id}${query}`)).toBe('404 BLOB_UPLOAD_UNKNOWN')
        }
      }
    }
    expect(await asked('GET', '/v2/p/other/tags/list')).toBe('404 NAME_UNKNOWN')
    expect(await asked('GET', `/v2/p/other/referrers/${DIGEST}`)).toBe('200')
  })
})

describe('what clients do to HTTP', () => {
  const head = (line: string, ...headers: string[]): string =>
    [`${line} HTTP/1.1`, 'Host: x', `Authorization: ${server.authorization}`, ...headers, '', ''].join('\r\n')

  test('requests in one piece are answered in order', async () => {
    const paths = ['/v2/', '/v2/p/app/manifests/nope', '/v2/p/app/tags/list', '/healthz']
    const text = await exchangeRaw(server, paths.map((path, index) => head(`GET ${path}`, ...(index === 3 ? ['Connection: close'] : []))).join(''))
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200', 'HTTP/1.1 200'])
  })

  test('a body that nobody wants does not spoil the next request', async () => {
    const text = await exchangeRaw(server, `${head('GET /v2/', 'Content-Length: 40')}${'GET /v2/ HTTP/1.1\r\nHost: smuggled\r\n\r\n\r\n\r\n'.slice(0, 40)}${head('HEAD /v2/', 'Connection: close')}`)
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200'])
  })

  test('a client that sends more than anybody wants still gets its answer', async () => {
    const body = Buffer.alloc(64 * 1024 * 1024)
    for (const path of ['/v2/', '/nothing', '/v2/p/app/manifests/v1', UPLOAD]) expect(await asked('PUT', path, { body })).toMatch(/^4/)
    expect(await asked('POST', '/v2/p/app/blobs/uploads/', { body, anonymous: true })).toBe('401 UNAUTHORIZED')
    expect(await asked('HEAD', '/v2/p/app/manifests/v1', { headers: { 'Content-Length': body.length }, body })).toBe('200')
  })

  test('Expect: 100-continue asks for a body only where one is wanted', async () => {
    const content = Buffer.from('expected')
    const wanted = openRaw(server)
    wanted.send(head(`POST /v2/p/app/blobs/uploads/?digest=${sha256(content)}`, 'Expect: 100-continue', `Content-Length: ${content.length}`, 'Connection: close'))
    await wanted.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
    wanted.send(content)
    await wanted.closed
    expect(wanted.received()).toMatch(/100 Continue\r\n\r\nHTTP\/1\.1 201 /)

    for (const line of [`PUT ${UPLOAD}?digest=${DIGEST}`, 'PUT /v2/BAD/manifests/x', 'GET /v2/']) {
      const text = await exchangeRaw(server, head(line, 'Expect: 100-continue', 'Content-Length: 100000000'))
      expect(text).toMatch(/^HTTP\/1\.1 (404|400|200) /)
      expect(text).toMatch(/Connection: close/i)
    }
    expect(await exchangeRaw(server, head('GET /v2/', 'Expect: something-else', 'Connection: close'))).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('chunks with extensions and trailers are a body like another', async () => {
    const path = `/v2/p/app/blobs/uploads/?digest=${sha256(Buffer.from('abcdef'))}`
    const text = await exchangeRaw(server, `${head(`POST ${path}`, 'Transfer-Encoding: chunked', 'Trailer: X-End', 'Connection: close')}3;x=y\r\nabc\r\n3\r\ndef\r\n0\r\nX-End: \u00ff\r\nAuthorization: x\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 201 /)
  })

  test.each([
    ['odd bytes in headers', { 'User-Agent': '\u00ff\u00fe\u0080', Range: '\u00ff', 'If-None-Match': '\u00ff"', Accept: '\u00ff', 'Content-Range': '\u00ff' }],
    ['an endless user agent', { 'User-Agent': '\u00e9'.repeat(10_000) }],
    ['forwarded garbage', { 'X-Forwarded-For': '\u00ff, ,999.1.1.1, [::, ::1%\u00e9, 10.0.0.1' }],
    ['forwarded by a thousand', { 'X-Forwarded-For': '127.0.0.1,'.repeat(1_000) }],
    ['Forwarded garbage', { Forwarded: 'for="\\"[::1', 'X-Forwarded-For': '' }],
    ['an upgrade', { Connection: 'Upgrade', Upgrade: 'h2c' }],
    ['a method to use instead', { 'X-HTTP-Method-Override': 'DELETE' }],
  ])('%s change nothing', async (_, headers) => {
    expect(await asked('GET', '/v2/p/app/manifests/v1', { headers })).toBe('200')
  })

  test.each([
    ['two lengths', ['Content-Length: 1', 'Content-Length: 2']],
    ['a length and chunks', ['Content-Length: 1', 'Transfer-Encoding: chunked']],
    ['a negative length', ['Content-Length: -1']],
    ['chunks within chunks', ['Transfer-Encoding: chunked, identity']],
    ['a folded header', ['X: a\r\n b']],
    ['a space before the colon', ['X : a']],
    ['a line feed alone', ['X: a\nY: b']],
    ['U+0000', ['X: \u0000']],
  ])('%s are refused before anything is read, and the connection ends', async (_, headers) => {
    const text = await exchangeRaw(server, `${head('POST /v2/p/app/blobs/uploads/', ...headers)}0\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })
})

test('nothing of all that was an error of the server, and no secret stands in its output', () => {
  const output = server.output()
  expect(output.split('\n').filter((line) => line.includes('"level":"error"') || line.includes('"level":"warn"') || /unhandled/i.test(line))).toEqual([])
  for (const secret of [server.password, server.authorization.slice('Basic '.length)]) expect(output).not.toContain(secret)
})
