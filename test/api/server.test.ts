import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectSecurely } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { Handler, HttpServer, HttpServerOptions } from '../../src/api/server.ts'
import { startHttpServer } from '../../src/api/server.ts'
import { one, two } from '../support/certificates.ts'

type Line = { readonly level: string; readonly message: string }

let server: HttpServer | undefined
let lines: Line[]

beforeEach(() => {
  lines = []
})

afterEach(async () => {
  await server?.close(0)
  server = undefined
})

const keep = (level: string) => (_: object, message: string): void => {
  lines.push({ level, message })
}

const start = async (handler: Handler, more: Partial<HttpServerOptions> = {}): Promise<HttpServer> => {
  server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    handler,
    log: { info: keep('info'), warn: keep('warn'), error: keep('error') },
    ...more,
  })
  return server
}

const portOf = ({ url }: HttpServer): number => Number(new URL(url).port)

/** What a socket receives until it is closed from the other side. */
const raw = async (at: HttpServer, sent: string): Promise<string> => {
  const socket = connect({ host: '127.0.0.1', port: portOf(at) })
  socket.write(sent)
  return text(socket)
}

const until = async (condition: () => boolean): Promise<void> => {
  const deadline = Date.now() + 20_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited 20 s in vain')
    await delay(10)
  }
}

/** A handler whose answer waits for the test. */
const held = (): { readonly handler: Handler; readonly asked: Promise<[IncomingMessage, ServerResponse]> } => {
  const { promise, resolve } = Promise.withResolvers<[IncomingMessage, ServerResponse]>()
  return { handler: (incoming, response) => { resolve([incoming, response]) }, asked: promise }
}

const received = (socket: Socket): { all: string } => {
  const seen = { all: '' }
  socket.on('data', (part: Buffer) => { seen.all += part.toString() })
  socket.on('error', () => undefined)
  return seen
}

const answerTo = (outgoing: ClientRequest): Promise<IncomingMessage> =>
  new Promise((done, failed) => {
    outgoing.once('response', done).once('error', failed)
  })

describe('the HTTP server', () => {
  test('answers at the address that it names', async () => {
    const { url } = await start((_, response) => response.end('here'))
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9][0-9]*$/)
    expect(await (await fetch(url)).text()).toBe('here')
  })

  test('names the variable when the port is taken', async () => {
    const first = await start((_, response) => response.end())
    await expect(startHttpServer({ listen: { host: '127.0.0.1', port: portOf(first) }, tls: undefined, handler: () => undefined, log: console }))
      .rejects.toThrow(/^VARVE_LISTEN: cannot listen on 127.0.0.1:[0-9]+: another program listens there$/)
  })

  test.each([
    ['what is no HTTP', 'HELLO\r\n\r\n', '400 Bad Request'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', '400 Bad Request'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', '400 Bad Request'],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n', '400 Bad Request'],
    ['another version', 'GET / HTTP/2.0\r\nHost: x\r\n\r\n', '400 Bad Request'],
    ['no version', 'GET /\r\nHost: x\r\n\r\n', '400 Bad Request'],
    ['a coding that is none', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n', '400 Bad Request'],
    ['a coding that is not undone here', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', '400 Bad Request'],
    ['to be a proxy', 'CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n', '400 Bad Request'],
    ['headers above 80 KiB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(83_000)}\r\n\r\n`, '431 Request Header Fields Too Large'],
  ])('refuses %s and closes', async (_, sent, status) => {
    const at = await start((_request, response) => response.end('never'))
    const [head = '', body = ''] = (await raw(at, sent)).split('\r\n\r\n')
    expect(head).toBe(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}`)
    expect(JSON.parse(body)).toEqual({ errors: [{ code: 'UNSUPPORTED', message: 'this is no request that is understood here' }] })
  })

  test('a broken HEAD is refused without a body', async () => {
    const at = await start((_request, response) => response.end('never'))
    for (const sent of ['HEAD / HTTP/1.1\r\n\r\n', 'HEAD /\u00ff HTTP/1.1\r\nHost: x\r\n\r\n']) expect(await raw(at, sent)).toMatch(/^HTTP\/1\.1 400 [^]*\r\n\r\n$/)
  })

  test('takes headers of nearly 80 KiB', async () => {
    const at = await start((_, response) => response.end('fine'))
    expect(await raw(at, `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ${'y'.repeat(81_000)}\r\n\r\n`)).toContain('fine')
  })

  test('a broken request writes nothing into an answer under way', async () => {
    const at = await start((_, response) => {
      response.writeHead(200, { 'Content-Length': 100 })
      response.write('half')
    })
    const seen = await raw(at, 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n')
    expect(seen).not.toContain('400')
    // What was written before is not lost.
    expect(seen).toMatch(/^HTTP\/1\.1 200 OK[^]*half$/)
  })

  test('a client that has said all and closes its side gets its answer', async () => {
    const at = await start((incoming, response) => {
      void text(incoming).then(async (body) => {
        await delay(50)
        response.end(`heard ${body}`)
      })
    })
    for (const sent of ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n']) {
      const socket = connect({ host: '127.0.0.1', port: portOf(at), allowHalfOpen: true })
      socket.end(sent)
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK[^]*heard abc/)
    }
  })

  test('ends a client that does not finish its headers, but not one whose body takes long', async () => {
    const at = await start(
      (incoming, response) => {
        void text(incoming).then((body) => response.end(body))
      },
      { headersTimeoutMs: 300 },
    )
    const slow = connect({ host: '127.0.0.1', port: portOf(at) })
    const seen = received(slow)
    slow.write('PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab')
    expect(await raw(at, 'GET / HTTP/1.1\r\nHost')).toMatch(/^HTTP\/1.1 408 /)
    await delay(700)
    slow.write('cd')
    await once(slow, 'close')
    expect(seen.all).toMatch(/^HTTP\/1.1 200 OK[^]*abcd/)
  })

  test('cuts a client that stops in the middle of its body, but not one whose bytes are not wanted yet', async () => {
    const ended: string[] = []
    const at = await start(
      (incoming, response) => {
        if (incoming.url === '/read') {
          text(incoming).then((body) => response.end(body), (error: unknown) => ended.push(String(error)))
        } else setTimeout(() => void text(incoming).then((body) => response.end(body)), 600)
      },
      { bodyIdleTimeoutMs: 200 },
    )
    const put = (path: string): string => `PUT ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab`
    const [stopped, crawling, unread] = ['/read', '/read', '/later'].map((path) => {
      const socket = connect({ host: '127.0.0.1', port: portOf(at) })
      socket.write(put(path))
      return { socket, seen: received(socket) }
    })
    if (stopped === undefined || crawling === undefined || unread === undefined) throw new Error('three sockets')
    await delay(120)
    crawling.socket.write('c')
    await until(() => stopped.socket.closed)
    crawling.socket.write('d')
    await until(() => crawling.socket.closed)
    expect(stopped.seen.all).toBe('')
    expect(ended).toHaveLength(1)
    expect(crawling.seen.all).toMatch(/abcd$/)
    await delay(400)
    unread.socket.write('cd')
    await until(() => unread.socket.closed)
    expect(unread.seen.all).toMatch(/abcd$/)
  })

  test('a handler that throws answers 500 without a word about it', async () => {
    const at = await start(() => {
      throw new Error('a secret')
    })
    const response = await fetch(at.url)
    expect([response.status, await response.text()]).toEqual([500, ''])
    expect(lines).toEqual([{ level: 'error', message: 'a request handler threw' }])
  })
})

describe('an orderly stop', () => {
  test('closes idle and silent connections at once', async () => {
    const at = await start((_, response) => response.end('x'))
    const silent = connect({ host: '127.0.0.1', port: portOf(at) })
    const idle = connect({ host: '127.0.0.1', port: portOf(at) })
    const seen = received(idle)
    received(silent)
    idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(() => seen.all.endsWith('x'))
    const started = performance.now()
    await at.close(10_000)
    expect(performance.now() - started).toBeLessThan(2_000)
    await until(() => silent.closed && idle.closed)
  })

  test('finishes what is under way, says that it closes, and takes nothing new', async () => {
    const { handler, asked } = held()
    const at = await start(handler)
    const agent = new Agent({ keepAlive: true })
    const outgoing = request(at.url, { agent, method: 'PUT' })
    outgoing.write('begun, ')
    const [incoming, response] = await asked
    const closed = at.close(10_000)
    await expect(fetch(at.url)).rejects.toThrow()
    outgoing.end('finished')
    response.end(await text(incoming))
    const answer = await answerTo(outgoing)
    expect(answer.headers.connection).toBe('close')
    expect(await text(answer)).toBe('begun, finished')
    await closed
    agent.destroy()
  })

  test('closes a connection whose headers had promised to keep it', async () => {
    const { handler, asked } = held()
    const at = await start(handler)
    const client = connect({ host: '127.0.0.1', port: portOf(at) })
    const seen = received(client)
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const [, response] = await asked
    response.writeHead(200, { 'Content-Length': 8 })
    response.write('half')
    await until(() => seen.all.endsWith('half'))
    const closed = at.close(10_000)
    const started = performance.now()
    response.end('half')
    await closed
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(seen.all).toMatch(/keep-alive[^]*halfhalf$/)
  })

  test('cuts off what is left at the deadline', async () => {
    const { handler, asked } = held()
    const at = await start(handler)
    const client = connect({ host: '127.0.0.1', port: portOf(at) })
    received(client)
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await asked
    const started = performance.now()
    await Promise.all([at.close(300), at.close(300)])
    expect(performance.now() - started).toBeGreaterThan(250)
    expect(lines).toEqual([{ level: 'warn', message: 'requests were cut off by the stop' }])
    await until(() => client.closed)
  })
})

describe('HTTPS', () => {
  let folder: string
  let tls: { readonly certFile: string; readonly keyFile: string }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-tls-'))
    tls = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
    await writeFile(tls.certFile, one.cert)
    await writeFile(tls.keyFile, one.key)
  })

  afterEach(() => rm(folder, { recursive: true, force: true }))

  /** Whose certificate a new connection is shown. */
  const shown = async (at: HttpServer): Promise<string> => {
    const socket = connectSecurely({ host: '127.0.0.1', port: portOf(at), rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const name = String(socket.getPeerCertificate().subject.CN)
    socket.destroy()
    return name
  }

  test('reads its files again when they change; a bad pair leaves the old one', async () => {
    const at = await start((_, response) => response.end('secret'), { tls })
    expect(at.url).toMatch(/^https:/)
    expect(await shown(at)).toBe('one')

    // Half of a change: the new certificate beside the old key.
    await writeFile(join(folder, 'next'), two.cert)
    await rename(join(folder, 'next'), tls.certFile)
    await until(() => lines.some(({ level }) => level === 'warn'))
    expect(await shown(at)).toBe('one')

    await writeFile(tls.keyFile, two.key)
    await until(() => lines.some(({ level }) => level === 'info'))
    expect(await shown(at)).toBe('two')

    await rm(tls.keyFile)
    await until(() => lines.filter(({ level }) => level === 'warn').length === 2)
    expect(await shown(at)).toBe('two')
  })

  test('refuses to start with files that are missing or do not belong together', async () => {
    await writeFile(tls.keyFile, two.key)
    await expect(start(() => undefined, { tls })).rejects.toThrow('VARVE_TLS_CERT, VARVE_TLS_KEY: the pair cannot be used')
    await rm(tls.keyFile)
    await expect(start(() => undefined, { tls })).rejects.toThrow('VARVE_TLS_CERT, VARVE_TLS_KEY: ')
  })

  test('a stop finishes what is under way and cuts off a handshake that never ends', async () => {
    const { handler, asked } = held()
    const at = await start(handler, { tls })
    const agent = new SecureAgent({ keepAlive: true })
    const outgoing = secureRequest(at.url, { agent, ca: one.cert })
    outgoing.end()
    const silent = connect({ host: '127.0.0.1', port: portOf(at) })
    received(silent)
    const [, response] = await asked
    const closed = at.close(10_000)
    await delay(100)
    response.end('finished')
    const answer = await answerTo(outgoing)
    expect(await text(answer)).toBe('finished')
    await closed
    agent.destroy()
  })
})
