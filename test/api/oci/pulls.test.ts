import { randomBytes } from 'node:crypto'
import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { OCI_MANIFEST, registryClient, sha256 } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { exchangeRaw, openRaw, wireClient } from '../../support/wire.ts'

let server: VarveServer
let wire: ReturnType<typeof wireClient>
let client: ReturnType<typeof registryClient>
let image: Awaited<ReturnType<typeof client.pushImage>>
/** Above what is held in memory, so that it is read from its file. */
const LARGE = randomBytes(9 * 1024 * 1024)
const LAYER = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 256))

type What = 'manifest' | 'layer' | 'large'
let content: Readonly<Record<What, { readonly path: string; readonly bytes: Buffer; readonly digest: string }>>

beforeAll(async () => {
  server = await startVarve()
  wire = wireClient(server)
  client = registryClient(server)
  image = await client.pushImage('p/app', 'v1', LAYER)
  const large = await client.pushBlob('p/app', LARGE)
  content = {
    manifest: { path: '/v2/p/app/manifests/v1', bytes: image.bytes, digest: image.digest },
    layer: { path: `/v2/p/app/blobs/${image.layerDigest}`, bytes: LAYER, digest: image.layerDigest },
    large: { path: `/v2/p/app/blobs/${large}`, bytes: LARGE, digest: large },
  }
})

afterAll(() => {
  wire.close()
})

describe.each<What>(['manifest', 'layer', 'large'])('the bytes of a %s', (what) => {
  test('whole, and their head', async () => {
    const { path, bytes, digest } = content[what]
    const headers = {
      'content-length': String(bytes.length),
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'accept-ranges': 'bytes',
      'content-type': what === 'manifest' ? OCI_MANIFEST : 'application/octet-stream',
    }
    const got = await wire.sound('GET', path)
    expect(got).toMatchObject({ status: 200, headers })
    expect(got.body.equals(bytes)).toBe(true)
    expect(await wire.sound('HEAD', path)).toMatchObject({ status: 200, headers })
    expect(await wire.sound('HEAD', path, { headers: { Range: 'bytes=0-1' } })).toMatchObject({ status: 200, headers })
  })

  test.each<[string, string, (size: number) => [number, number]]>([
    ['the first', 'bytes=0-99', () => [0, 99]],
    ['the first byte', 'bytes=0-0', () => [0, 0]],
    ['the middle', 'bytes=10-20', () => [10, 20]],
    ['one byte', 'bytes=7-7', () => [7, 7]],
    ['to the end', 'bytes=5-', (size) => [5, size - 1]],
    ['all of them', 'bytes=0-', (size) => [0, size - 1]],
    ['the last', 'bytes=-9', (size) => [size - 9, size - 1]],
    ['more of the last than there are', 'bytes=-99999999999999999999', (size) => [0, size - 1]],
    ['beyond the end', 'bytes=3-99999999999999999999', (size) => [3, size - 1]],
    ['spaces around', ' bytes=1-2 ', () => [1, 2]],
  ])('a part: %s', async (_, range, part) => {
    const { path, bytes, digest } = content[what]
    const [first, last] = part(bytes.length)
    const got = await wire.sound('GET', path, { headers: { Range: range } })
    expect(got).toMatchObject({ status: 206, headers: { 'content-range': `bytes ${first}-${last}/${bytes.length}`, 'docker-content-digest': digest } })
    expect(got.body.equals(bytes.subarray(first, last + 1))).toBe(true)
  })

  test('no part of what is not there', async () => {
    const { path, bytes } = content[what]
    for (const range of [`bytes=${bytes.length}-`, 'bytes=99999999999999999999-', 'bytes=-0', 'bytes=9-3', 'bytes=99999999999-999999999999']) {
      const got = await wire.sound('GET', path, { headers: { Range: range } })
      expect([range, got.status, got.headers['content-range']]).toEqual([range, 416, `bytes */${bytes.length}`])
    }
  })

  test('what asks for no part is answered whole', async () => {
    const { path, bytes } = content[what]
    for (const range of ['bytes=', 'bytes=-', 'bytes=a-b', 'bytes=0-1,5-6', 'bytes=0-0,-1', 'lines=0-1', 'bytes 0-1', 'bytes=+0-1', 'bytes=0x0-1', '\u00ff', '']) {
      const got = await wire.sound('GET', path, { headers: { Range: range } })
      expect([range, got.status, got.body.length]).toEqual([range, 200, bytes.length])
    }
    for (const condition of ['"other"', `W/"${content[what].digest}"`, 'Tue, 24 Nov 2026 00:00:00 GMT']) {
      expect((await wire.sound('GET', path, { headers: { Range: 'bytes=0-1', 'If-Range': condition } })).status).toBe(200)
    }
    expect((await wire.sound('GET', path, { headers: { Range: 'bytes=0-1', 'If-Range': `"${content[what].digest}"` } })).status).toBe(206)
  })

  test('not again for who has them', async () => {
    const { path, digest } = content[what]
    for (const condition of [`"${digest}"`, digest, `W/"${digest}"`, '*', `"other", "${digest}"`, `"x",W/"${digest}" `, ` ${digest}`]) {
      for (const method of ['GET', 'HEAD']) {
        const got = await wire.sound(method, path, { headers: { 'If-None-Match': condition, Range: 'bytes=0-1' } })
        expect([condition, got.status, got.headers.etag]).toEqual([condition, 304, `"${digest}"`])
      }
    }
    for (const condition of ['"other"', '', '"*"x', `"${digest.slice(0, -1)}"`, '\u00ff']) {
      expect((await wire.sound('GET', path, { headers: { 'If-None-Match': condition } })).status).toBe(200)
    }
  })
})

test('no part of a blob of nothing', async () => {
  const digest = await client.pushBlob('p/app', Buffer.alloc(0))
  for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) {
    expect(await wire.asked('GET', `/v2/p/app/blobs/${digest}`, { headers: { Range: range } })).toBe('416 SIZE_INVALID')
  }
  expect(await wire.asked('GET', `/v2/p/app/blobs/${digest}`)).toBe('200')
})

test('a client that leaves in the middle of an answer is no error', async () => {
  const text = `GET ${content.large.path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${server.authorization}\r\n\r\n`
  for (let round = 0; round < 10; round += 1) {
    const raw = openRaw(server)
    raw.send(text)
    await raw.until(/\r\n\r\n/)
    raw.socket.resetAndDestroy()
  }
  expect(await exchangeRaw(server, text.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))).toHaveLength(
    LARGE.length + (await headLength(text)),
  )
})

const headLength = async (text: string): Promise<number> => {
  const whole = await exchangeRaw(server, text.replace('GET', 'HEAD').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
  return whole.length
}

describe('a blob whose file is', () => {
  const spoil: [string, (path: string) => Promise<void>][] = [
    ['missing', (path) => rm(path)],
    ['short', (path) => truncate(path, 100)],
    ['empty', (path) => truncate(path, 0)],
    ['too long', (path) => writeFile(path, 'x', { flag: 'a' })],
  ]
  for (const [how, act] of spoil) {
    test.each([20_000, 9 * 1024 * 1024])(`${how} is unknown until the next push heals it (%d bytes)`, async (sizeBytes) => {
      const bytes = randomBytes(sizeBytes)
      const digest = await client.pushBlob('p/healed', bytes)
      const hex = digest.slice('sha256:'.length)
      await act(join(server.dataFolder, 'blobs', 'sha256', hex.slice(0, 2), hex))
      const path = `/v2/p/healed/blobs/${digest}`
      expect(await wire.asked('HEAD', path)).toBe('404')
      expect(await wire.asked('GET', path)).toBe('404 BLOB_UNKNOWN')
      expect(await wire.asked('GET', path, { headers: { Range: 'bytes=0-1' } })).toBe('404 BLOB_UNKNOWN')
      expect(await wire.asked('POST', `/v2/p/other/blobs/uploads/?mount=${digest}&from=p/healed`)).toBe('202')
      await client.pushBlob('p/other', bytes)
      expect((await wire.sound('GET', path)).body.equals(bytes)).toBe(true)
    })
  }

  test('missing, of a manifest, is unknown, and pushed again it is there', async () => {
    const pushed = await client.pushManifest('p/healed', 'v1', { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [], annotations: { lost: 'x' } }, 'application/vnd.oci.image.index.v1+json')
    const hex = pushed.digest.slice('sha256:'.length)
    await rm(join(server.dataFolder, 'blobs', 'sha256', hex.slice(0, 2), hex))
    await server.restart()
    expect(await wire.asked('GET', '/v2/p/healed/manifests/v1')).toBe('404 MANIFEST_UNKNOWN')
    expect(await wire.asked('HEAD', '/v2/p/healed/manifests/v1')).toBe('404')
    expect(await wire.asked('PUT', '/v2/p/healed/manifests/v1', { body: pushed.bytes })).toBe('201')
    expect((await wire.sound('GET', '/v2/p/healed/manifests/v1')).body.equals(pushed.bytes)).toBe(true)
  })
})

describe('on record is', () => {
  type Row = readonly [number, number, number, string, ...(string | number | null)[]]
  type Line = { readonly type: string; readonly data: { readonly artifacts: readonly { digest: string; blob?: true }[]; readonly pulls: readonly Row[] } }

  /** What the log has of a request: what was pulled, as manifest or blob, and what is unusual about it; undefined: nothing. */
  const recorded = async (requestId: string): Promise<unknown> => {
    const { stdout } = await server.varve('log', 'tail', '--lines', '1000')
    const lines = stdout.split('\n').filter((line) => line.includes('"PullsRecorded"')).map((line) => JSON.parse(line) as Line)
    for (const { data } of lines) {
      const row = data.pulls.find(([, , , id]) => id === requestId)
      if (row === undefined) continue
      const [, artifact, , , reference = null, method = null, status = null, range = null] = row
      return { ...data.artifacts[artifact], reference, method, status, range }
    }
    return undefined
  }
  const usual = { reference: null, method: null, status: null, range: null }

  test.each<[string, string, (what: typeof content) => string, Record<string, string>, object | undefined]>([
    ['a GET by tag', 'GET', ({ manifest }) => manifest.path, {}, { reference: 'v1' }],
    ['a GET by digest', 'GET', ({ manifest }) => `/v2/p/app/manifests/${manifest.digest}`, {}, {}],
    ['a part of a manifest', 'GET', ({ manifest }) => manifest.path, { Range: 'bytes=2-5' }, { reference: 'v1', status: 206, range: '2-5' }],
    ['a HEAD by tag', 'HEAD', ({ manifest }) => manifest.path, {}, { reference: 'v1', method: 'HEAD' }],
    ['a GET by tag answered 304', 'GET', ({ manifest }) => manifest.path, { 'If-None-Match': '*' }, { reference: 'v1', status: 304 }],
    ['a HEAD by tag answered 304', 'HEAD', ({ manifest }) => manifest.path, { 'If-None-Match': '*' }, { reference: 'v1', method: 'HEAD', status: 304 }],
    ['a blob', 'GET', ({ layer }) => layer.path, {}, { blob: true }],
    ['a part of a blob', 'GET', ({ large }) => large.path, { Range: 'bytes=-10' }, { blob: true, status: 206, range: `${LARGE.length - 10}-${LARGE.length - 1}` }],
    ['a blob answered 304', 'GET', ({ layer }) => layer.path, { 'If-None-Match': '*' }, { blob: true, status: 304 }],
    ['no HEAD by digest', 'HEAD', ({ manifest }) => `/v2/p/app/manifests/${manifest.digest}`, {}, undefined],
    ['no HEAD by digest answered 304', 'HEAD', ({ layer }) => layer.path, { 'If-None-Match': '*' }, undefined],
    ['no HEAD of a blob', 'HEAD', ({ layer }) => layer.path, {}, undefined],
    ['no 404', 'GET', () => '/v2/p/app/manifests/nope', {}, undefined],
    ['no 404 of a blob', 'GET', () => `/v2/p/app/blobs/${sha256(Buffer.from('nope'))}`, {}, undefined],
    ['no 416', 'GET', ({ layer }) => layer.path, { Range: 'bytes=5000-' }, undefined],
    ['no list', 'GET', () => '/v2/p/app/tags/list', {}, undefined],
  ])('%s', async (_, method, path, headers, expected) => {
    const answer = await wire.sound(method, path(content), { headers })
    // A pull that is waited for is behind one that was noted before.
    await wire.sound('GET', content.layer.path)
    const found = await recorded(String(answer.headers['x-request-id']))
    const digest = answer.headers['docker-content-digest']
    expect(found).toEqual(expected === undefined ? undefined : { digest, ...usual, ...expected, repository: expect.stringMatching(/^[0-9a-f-]{36}\/app$/) })
  })
})

test('nothing of all that was an error of the server', () => {
  const bad = server.output().split('\n').filter((line) => /"level":"error"|unhandled/i.test(line))
  // A start folds again what the last one had not committed; the manifest that was taken away is missed then.
  expect(bad.filter((line) => !line.includes('the bytes of a manifest are gone'))).toEqual([])
})
