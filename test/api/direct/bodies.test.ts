import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectSecurely } from 'node:tls'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createDirectConnections } from '../../../src/api/direct/connections.ts'
import type { OciAnswerer } from '../../../src/api/oci/router.ts'
import { json } from '../../../src/api/reply.ts'
import { startHttpServer } from '../../../src/api/server.ts'
import type { HttpServer } from '../../../src/api/server.ts'
import { one } from '../../support/certificates.ts'

let server: HttpServer
let folder: string | undefined
/** How each body was read: its digest, or why it did not come whole. */
let read: string[]
let viaHttp: number

afterEach(async () => {
  await server.close(0)
  if (folder !== undefined) await rm(folder, { recursive: true })
  folder = undefined
})

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Reads a body as slowly as a disk that must be waited for, and answers with its digest; under `/v2/refused` it reads nothing. */
const answer: OciAnswerer = async ({ url, headers }, body) => {
  if (url === '/v2/refused') return json(401, {})
  const hash = createHash('sha256')
  try {
    for await (const piece of body.read()) {
      await new Promise(setImmediate)
      hash.update(piece)
    }
  } catch (error) {
    read.push(body.failed(error) ? 'left' : 'failed')
    return json(400, {})
  }
  read.push(hash.digest('hex'))
  return json(200, { digest: read.at(-1), type: headers['content-type'] })
}

async function start({ bodyIdleMs = 60_000, secure = false } = {}): Promise<void> {
  read = []
  viaHttp = 0
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  folder = secure ? await mkdtemp(join(tmpdir(), 'varve-bodies-')) : undefined
  const tls = folder === undefined ? undefined : { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
  if (tls !== undefined) await Promise.all([writeFile(tls.certFile, one.cert), writeFile(tls.keyFile, one.key)])
  server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls,
    log,
    bodyIdleTimeoutMs: bodyIdleMs,
    handler: (_request, response) => {
      viaHttp += 1
      response.end()
    },
    direct: (connections) => createDirectConnections({ ...connections, answer, metrics: { began: () => () => undefined }, logger: log }),
  })
}

function opened(): Socket {
  const { protocol, port } = new URL(server.url)
  const at = { host: '127.0.0.1', port: Number(port) }
  return protocol === 'https:' ? connectSecurely({ ...at, rejectUnauthorized: false }) : connect(at)
}

const head = (length: number | string, { path = '/v2/p/app/blobs/uploads/1', closing = '' } = {}): string =>
  `PUT ${path} HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nContent-Length: ${length}\r\n${closing}\r\n`
const LAST = 'GET /v2/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
const statuses = (answers: string): string[] => [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status = '']) => status)

describe.each([['in the clear', false], ['over TLS', true]])('a body %s', (_, secure) => {
  test.each([1, 1_000, 65_536, 262_143, 262_144, 262_145, 3_000_000])('of %d bytes comes as it was sent, however it is cut', async (length) => {
    await start({ secure })
    const body = randomBytes(length)
    for (const size of [length, 100_000, 65_537, Math.max(1, Math.floor(length / 30))]) {
      const socket = opened()
      const answers = text(socket)
      const whole = Buffer.concat([Buffer.from(head(length)), body])
      // Only a head that comes whole is read here.
      const first = head(length).length + Math.floor(size / 2)
      socket.write(whole.subarray(0, first))
      for (let at = first; at < whole.length; at += size) {
        await sleep(1)
        socket.write(whole.subarray(at, at + size))
      }
      while (read.length === 0) await sleep(1)
      socket.end()
      expect(statuses(await answers)).toEqual(['200'])
      expect(read.splice(0)).toEqual([digestOf(body)])
    }
    expect(viaHttp).toBe(0)
  })
})

describe('a connection', () => {
  test('brings body after body, each in the memory of the one before', async () => {
    await start()
    const bodies = Array.from({ length: 20 }, (_, index) => randomBytes(index * 37_003))
    const sockets = Array.from({ length: 4 }, () => opened())
    await Promise.all(
      sockets.map(async (socket) => {
        let answered = 0
        socket.on('data', (bytes: Buffer) => {
          answered += statuses(bytes.toString()).length
        })
        for (const [index, body] of bodies.entries()) {
          socket.write(head(body.length))
          socket.write(body)
          while (answered <= index) await sleep(1)
        }
        socket.destroy()
      }),
    )
    const expected = bodies.map(digestOf)
    expect(read.toSorted()).toEqual([...expected, ...expected, ...expected, ...expected].toSorted())
    expect(viaHttp).toBe(0)
  })

  test('goes on with what came behind a body', async () => {
    await start()
    const socket = opened()
    const body = randomBytes(300_000)
    socket.write(Buffer.concat([Buffer.from(head(body.length)), body, Buffer.from(LAST)]))
    expect(statuses(await text(socket))).toEqual(['200', '200'])
    expect(read).toEqual([digestOf(body)])
    expect(viaHttp).toBe(1)
  })

  test('whose small body nobody read goes on', async () => {
    await start()
    const socket = opened()
    socket.write(head(400_000, { path: '/v2/refused' }))
    socket.write(Buffer.alloc(400_000))
    socket.write(LAST)
    expect(statuses(await text(socket))).toEqual(['401', '200'])
  })

  test('whose small body nobody read is closed where it does not come to its end', async () => {
    await start({ bodyIdleMs: 100 })
    const socket = opened()
    socket.write(head(1_000_000, { path: '/v2/refused' }))
    const sending = setInterval(() => socket.write(' '), 5)
    expect(statuses(await text(socket))).toEqual(['401'])
    clearInterval(sending)
  })

  test('whose large body nobody read is answered and closed, also if it keeps coming for a while', async () => {
    await start()
    const socket = opened()
    socket.write(head(20_000_000, { path: '/v2/refused' }))
    socket.write(Buffer.alloc(20_000_000))
    const answers = await text(socket)
    expect(statuses(answers)).toEqual(['401'])
    expect(answers).toContain('Connection: close')
  })

  test('whose client says that it will send a large body, and does not, is answered and closed', async () => {
    await start()
    const socket = opened()
    socket.write(head(20_000_000, { path: '/v2/refused' }))
    expect(statuses(await text(socket))).toEqual(['401'])
  })

  test('whose client ends its side in the middle of a body is told so', async () => {
    await start()
    const socket = opened()
    socket.write(head(100))
    socket.end('abc')
    const answers = await text(socket)
    expect(statuses(answers)).toEqual(['400'])
    expect(answers).toContain('Connection: close')
    expect(read).toEqual(['left'])
  })

  test('that breaks in the middle of a body fails it', async () => {
    await start()
    const socket = opened()
    socket.write(head(100))
    socket.write('abc', () => socket.resetAndDestroy())
    while (read.length === 0) await sleep(5)
    expect(read).toEqual(['left'])
  })

  test('whose client stops in the middle of a body is closed', async () => {
    await start({ bodyIdleMs: 50 })
    const socket = opened()
    socket.write(head(100))
    socket.write('abc')
    expect(statuses(await text(socket))).toEqual(['400'])
    expect(read).toEqual(['left'])
  })

  test('gets its answer when the server stops in the middle of a body', async () => {
    await start()
    const socket = opened()
    socket.write(head(6))
    socket.write('abc')
    await sleep(50)
    const closed = server.close(10_000)
    await sleep(50)
    socket.write('def')
    expect(statuses(await text(socket))).toEqual(['200'])
    await closed
    expect(read).toEqual([digestOf(Buffer.from('abcdef'))])
  })

  test.each([
    ['two lengths', `PUT /v2/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na`],
    ['a length with a sign', head('+1')],
    ['chunks', 'PUT /v2/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['no length', 'PUT /v2/x HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['a wish to be asked', head(3, { closing: 'Expect: 100-continue\r\n' })],
  ])('with %s is not read here', async (_, sent) => {
    await start()
    const socket = opened()
    socket.end(sent)
    await text(socket)
    expect(read).toEqual([])
  })
})
