import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { registryClient } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { exchangeRaw, openRaw } from '../../support/wire.ts'

let server: VarveServer
let paths: Readonly<Record<string, string>>
const LAYER = randomBytes(300_000)
const LARGE = randomBytes(9 * 1024 * 1024)

beforeAll(async () => {
  server = await startVarve()
  const client = registryClient(server)
  const image = await client.pushImage('p/app', 'v1', LAYER)
  paths = {
    base: '/v2/',
    manifest: '/v2/p/app/manifests/v1',
    layer: `/v2/p/app/blobs/${image.layerDigest}`,
    large: `/v2/p/app/blobs/${await client.pushBlob('p/app', LARGE)}`,
    'absent manifest': '/v2/p/app/manifests/v2',
    'malformed name': '/v2/P/manifests/v1',
    tags: '/v2/p/app/tags/list',
    'no path': '/v2/nothing',
  }
})

const pathOf = (what: string): string => paths[what] ?? ''

const request = (method: string, path: string, ...lines: string[]): string =>
  [`${method} ${path} HTTP/1.1`, `Host: ${server.host}`, `Authorization: ${server.authorization}`, ...lines, '', ''].join('\r\n')

/** What is said of it, in any order; what is another one's each time is left out. */
function partsOf(answer: string): { readonly head: string[]; readonly body: string } {
  const end = answer.indexOf('\r\n\r\n')
  const head = answer.slice(0, end).split('\r\n').filter((line) => !/^(X-Request-Id|Date): /.test(line))
  return { head: head.sort(), body: answer.slice(end + 4) }
}

/** `TE` is node:http's to read, and changes nothing of an answer. */
const VIA_HTTP = 'TE: trailers'

describe('an answer', () => {
  const cases = ['base', 'manifest', 'layer', 'large', 'absent manifest', 'malformed name', 'tags', 'no path']
  const lines = [[], ['Range: bytes=5-9'], ['Range: bytes=99999999-'], ['If-None-Match: *'], ['Authorization-Info: x']]
  test.each(cases.flatMap((what) => ['GET', 'HEAD'].flatMap((method) => lines.map((each) => [method, what, each] as const))))(
    'to %s for the %s with %j is what node:http would give',
    async (method, what, each) => {
      const text = request(method, pathOf(what), ...each)
      const direct = partsOf(await exchangeRaw(server, text, { half: true }))
      const http = partsOf(await exchangeRaw(server, request(method, pathOf(what), ...each, VIA_HTTP, 'Connection: close')))
      const closing = /^(Connection|Keep-Alive): /
      expect(direct.head.filter((line) => !closing.test(line))).toEqual(http.head.filter((line) => !closing.test(line)))
      expect(direct.body === http.body).toBe(true)
    },
  )

  test('names the same connection that node:http names', async () => {
    const [direct, http] = [openRaw(server), openRaw(server)]
    direct.send(request('GET', '/v2/'))
    http.send(request('GET', '/v2/', VIA_HTTP))
    const [a, b] = [await direct.until(/\{\}$/), await http.until(/\{\}$/)]
    expect(partsOf(a)).toEqual(partsOf(b))
    expect(a).toContain('Keep-Alive: timeout=75')
    direct.socket.destroy()
    http.socket.destroy()
  })
})

describe('a connection', () => {
  test('is answered in order, whatever comes on it and in whatever pieces', async () => {
    const texts = [
      request('GET', '/v2/'),
      request('HEAD', pathOf('manifest')),
      request('GET', pathOf('tags')),
      request('POST', '/v2/p/app/blobs/uploads/', 'Content-Length: 0'),
      request('GET', pathOf('manifest'), VIA_HTTP),
      request('GET', '/v2/p/app/manifests/last', 'Connection: close'),
    ]
    const whole = texts.join('')
    const statuses = (answers: string): string[] => [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status = '']) => status)
    const expected = ['200', '200', '200', '202', '200', '404']
    expect(statuses(await exchangeRaw(server, whole))).toEqual(expected)
    for (const size of [1, 7, 61, 150, texts[0]?.length ?? 0, (texts[0]?.length ?? 0) + 1]) {
      const raw = openRaw(server)
      raw.socket.setNoDelay(true)
      for (let start = 0; start < whole.length; start += size) {
        raw.send(whole.slice(start, start + size))
        if (start < 400) await sleep(1)
      }
      await raw.closed
      expect(statuses(raw.received())).toEqual(expected)
    }
  })

  test('whose client has ended its side gets its answer', async () => {
    // Its head may have been written before the end came, or after; a diff of the bytes would be of no use.
    const { body } = partsOf(await exchangeRaw(server, request('GET', pathOf('large')), { half: true }))
    expect(body === LARGE.toString('latin1')).toBe(true)
  })

  test('whose client reads nothing is answered no further than buffers reach', async () => {
    const raw = openRaw(server)
    raw.socket.pause()
    const before = await pulls()
    for (let index = 0; index < 12; index += 1) {
      raw.send(request('GET', pathOf('large'), `X-Index: ${index}`))
      await sleep(20)
    }
    // Both ends' buffers hold less than two of these.
    expect((await pulls()) - before).toBeLessThan(4)
    raw.socket.resume()
    // All that was asked is answered once it is read.
    for (let waited = 0; (await pulls()) < before + 12 && waited < 400; waited += 1) await sleep(50)
    expect(await pulls()).toBe(before + 12)
    raw.socket.destroy()
  })

  test('that is idle is closed by a stop, and one that works first gets its answer', async () => {
    const [idle, working] = [openRaw(server), openRaw(server)]
    idle.send(request('GET', '/v2/'))
    await idle.until(/\{\}$/)
    working.socket.pause()
    working.send(request('GET', pathOf('large')))
    await sleep(200)
    const stopped = server.kill('SIGTERM')
    await idle.closed
    working.socket.resume()
    await working.closed
    expect(partsOf(working.received()).body).toHaveLength(LARGE.length)
    await stopped
    await server.restart()
  })
})

async function pulls(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return Number(/^varve_pulls_total\{what="blob"\} (\d+)/m.exec(text)?.[1] ?? 0)
}
