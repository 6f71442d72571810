import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED } from '../../../src/oci/media-types.ts'
import { OCI_INDEX, OCI_MANIFEST, imageManifest, registryClient, sha256 } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { codeIn, wireClient } from '../../support/wire.ts'

let server: VarveServer
let wire: ReturnType<typeof wireClient>
let client: ReturnType<typeof registryClient>

beforeAll(async () => {
  server = await startVarve()
  wire = wireClient(server)
  client = registryClient(server)
  await client.pushBlob('p/app', Buffer.from('{}'))
})

afterAll(() => {
  wire.close()
})

const EMPTY = { digest: sha256(Buffer.from('{}')), size: 2 }
const IMAGE = imageManifest(EMPTY, [EMPTY])
const INDEX = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }

const put = (body: string | Buffer, type: string | undefined, path = '/v2/p/app/manifests/bad'): Promise<string> =>
  wire.asked('PUT', path, { body, headers: type === undefined ? {} : { 'Content-Type': type } })

describe('a manifest is refused', () => {
  const image = (more: object): string => JSON.stringify({ ...IMAGE, ...more })
  test.each<[string, string | Buffer, string | undefined]>([
    ['nothing', '', OCI_MANIFEST],
    ['no JSON', '{', OCI_MANIFEST],
    ['a text', '"x"', OCI_MANIFEST],
    ['null', 'null', OCI_MANIFEST],
    ['a list', '[]', OCI_MANIFEST],
    ['an object of nothing', '{}', OCI_MANIFEST],
    ['a byte order mark', `\ufeff${JSON.stringify(IMAGE)}`, OCI_MANIFEST],
    ['no UTF-8', Buffer.from([...Buffer.from('{"schemaVersion":2,"x":"'), 0xff, ...Buffer.from('"}')]), OCI_MANIFEST],
    ['UTF-16', Buffer.from(JSON.stringify(IMAGE), 'utf16le'), OCI_MANIFEST],
    ['nested beyond any stack', `{"schemaVersion":2,"x":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`, OCI_MANIFEST],
    ['layers and manifests', image({ manifests: [] }), OCI_MANIFEST],
    ['layers and manifests as an index', JSON.stringify({ ...INDEX, layers: [] }), OCI_INDEX],
    ['layers that Go reads and we do not', image({ Layers: [] }), OCI_MANIFEST],
    ['layers with a long s', image({ 'layer\u017f': [] }), OCI_MANIFEST],
    ['an index as an image', JSON.stringify(INDEX), OCI_MANIFEST],
    ['an image as an index', JSON.stringify(IMAGE), OCI_INDEX],
    ['a media type that contradicts itself', JSON.stringify(IMAGE), DOCKER_MANIFEST],
    ['a media type of no manifest', image({ mediaType: 'text/plain' }), OCI_MANIFEST],
    ['a media type that is a number', image({ mediaType: 7 }), OCI_MANIFEST],
    ['a Content-Type of no manifest', JSON.stringify(IMAGE), 'application/json'],
    ['a Content-Type that is odd', JSON.stringify(IMAGE), '\u00ff/x'],
    ['an endless Content-Type', JSON.stringify(IMAGE), 'x'.repeat(10_000)],
    ['schema 1', '{"schemaVersion":1,"fsLayers":[]}', DOCKER_SCHEMA_1],
    ['schema 1, signed', '{"schemaVersion":1,"fsLayers":[],"signatures":[]}', DOCKER_SCHEMA_1_SIGNED],
    ['schema 1 under another name', '{"schemaVersion":1,"fsLayers":[]}', DOCKER_MANIFEST],
    ['schema 1 without a name', '{"schemaVersion":1,"fsLayers":[]}', undefined],
    ['schema 3', image({ schemaVersion: 3 }), OCI_MANIFEST],
    ['no config', image({ config: undefined }), OCI_MANIFEST],
    ['a config without a digest', image({ config: { mediaType: 'x', size: 1 } }), OCI_MANIFEST],
    ['a digest that is none', image({ config: { mediaType: 'x', size: 1, digest: 'sha256:abc' } }), OCI_MANIFEST],
    ['a negative size', image({ layers: [{ mediaType: 'x', digest: EMPTY.digest, size: -1 }] }), OCI_MANIFEST],
    ['a size beyond what is exact', image({ layers: [{ mediaType: 'x', digest: EMPTY.digest, size: 1e30 }] }), OCI_MANIFEST],
    ['a size that is a text', image({ layers: [{ mediaType: 'x', digest: EMPTY.digest, size: '2' }] }), OCI_MANIFEST],
    ['annotations that are no texts', image({ annotations: { a: 1 } }), OCI_MANIFEST],
    ['a subject that is a text', image({ subject: EMPTY.digest }), OCI_MANIFEST],
    ['layers that are an object', image({ layers: {} }), OCI_MANIFEST],
    ['an answer of ours', image({ refused: true, config: 'x' }), OCI_MANIFEST],
  ])('%s', async (_, body, type) => {
    expect(await put(body, type)).toBe('400 MANIFEST_INVALID')
    expect(await wire.asked('HEAD', '/v2/p/app/manifests/bad')).toBe('404')
  })

  test('the word about schema 1 says what to do', async () => {
    const { body } = await wire.sound('PUT', '/v2/p/app/manifests/bad', { body: '{"schemaVersion":1}', headers: { 'Content-Type': DOCKER_SCHEMA_1 } })
    expect(body.toString()).toContain('push the image again with a current client')
  })

  const PLACES: Readonly<Record<string, (text: string) => object>> = {
    'the media type': (text) => ({ ...IMAGE, mediaType: text }),
    'an artifact type': (text) => ({ ...IMAGE, artifactType: text }),
    'an annotation': (text) => ({ ...IMAGE, annotations: { a: text } }),
    'the name of an annotation': (text) => ({ ...IMAGE, annotations: { [text]: 'a' } }),
    "the config's media type": (text) => ({ ...IMAGE, config: { ...EMPTY, mediaType: text } }),
    "a layer's media type": (text) => ({ ...IMAGE, layers: [{ ...EMPTY, mediaType: text }] }),
    "a layer's address": (text) => ({ ...IMAGE, layers: [{ ...EMPTY, mediaType: 'x', urls: [text] }] }),
    "a layer's annotation": (text) => ({ ...IMAGE, layers: [{ ...EMPTY, mediaType: 'x', annotations: { a: text } }] }),
    "a subject's media type": (text) => ({ ...IMAGE, subject: { ...EMPTY, mediaType: text } }),
    "a child's platform": (text) => ({ ...INDEX, manifests: [{ ...EMPTY, mediaType: 'x', platform: { os: text, architecture: 'a', 'os.features': [text] } }] }),
    'a digest': (text) => ({ ...IMAGE, config: { mediaType: 'x', size: 1, digest: `${EMPTY.digest}${text}` } }),
    'a field that nobody knows': (text) => ({ ...IMAGE, x: [[{ y: text }]] }),
    'the name of such a field': (text) => ({ ...IMAGE, x: { [text]: 1 } }),
    'a name beside the names': (text) => ({ ...IMAGE, [text]: 1 }),
  }
  test.each(Object.keys(PLACES))('U+0000 or a lone surrogate in %s', async (place) => {
    for (const bad of ['\u0000', 'a\u0000b', '\ud800', '\udfff', '\udc00\ud800', 'a\ud83dz']) {
      const document = PLACES[place]?.(bad) ?? {}
      const type = 'manifests' in document ? OCI_INDEX : OCI_MANIFEST
      expect(await put(JSON.stringify(document), type)).toBe('400 MANIFEST_INVALID')
      // As bytes: a control character is no JSON, a surrogate no UTF-8.
      expect(await put(Buffer.from(JSON.stringify(document).replaceAll('\\u0000', '\u0000')), type)).toBe('400 MANIFEST_INVALID')
    }
    // A whole pair is a character, and an escaped backslash no escape.
    const fine = { ...IMAGE, annotations: { '\u{1f433}': '\\u0000 \\ud800' } }
    expect(await put(JSON.stringify(fine).replace('\u{1f433}', '\\ud83d\\udc33'), OCI_MANIFEST)).toBe('201')
    expect(await wire.asked('DELETE', '/v2/p/app/manifests/bad')).toBe('202')
  })
})

describe('the size of a manifest', () => {
  const ofSize = (sizeBytes: number): Buffer => {
    const empty = JSON.stringify({ ...IMAGE, annotations: { pad: '' } })
    return Buffer.from(empty.replace('"pad":""', `"pad":"${'x'.repeat(sizeBytes - empty.length)}"`))
  }
  const LIMIT = 4 * 1024 * 1024

  test('4 MiB are taken, with a length or in chunks', async () => {
    const body = ofSize(LIMIT)
    expect(body).toHaveLength(LIMIT)
    for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }]) {
      expect(await wire.asked('PUT', '/v2/p/app/manifests/large', { body, headers: { 'Content-Type': OCI_MANIFEST, ...headers } })).toBe('201')
    }
    expect((await wire.sound('GET', '/v2/p/app/manifests/large')).body.equals(body)).toBe(true)
  })

  test.each([[1], [4 * LIMIT]])('%d bytes more are not', async (more) => {
    const body = ofSize(LIMIT + more)
    for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }]) {
      expect(await wire.asked('PUT', '/v2/p/app/manifests/larger', { body, headers: { 'Content-Type': OCI_MANIFEST, ...headers } })).toBe('413 SIZE_INVALID')
    }
    expect(await wire.asked('HEAD', '/v2/p/app/manifests/larger')).toBe('404')
  })

  test('one that names more absent blobs than an event can is refused, and says which in short', async () => {
    const layers = Array.from({ length: 20_000 }, (_, index) => ({ digest: sha256(Buffer.from(String(index))), size: 1 }))
    const answer = await wire.sound('PUT', '/v2/p/app/manifests/sparse', { body: JSON.stringify(imageManifest(EMPTY, layers)), headers: { 'Content-Type': OCI_MANIFEST } })
    expect([answer.status, codeIn(answer.body)]).toEqual([404, 'MANIFEST_BLOB_UNKNOWN'])
    expect(answer.body.length).toBeLessThan(20_000)
    expect(await put(JSON.stringify(imageManifest(EMPTY, layers.slice(0, 1_000))), OCI_MANIFEST, '/v2/p/app/manifests/sparse')).toBe('201')
  })
})

describe('a push', () => {
  test.each([
    ['an OCI image', IMAGE, OCI_MANIFEST],
    ['an OCI index', INDEX, OCI_INDEX],
    ['a docker image', { ...IMAGE, mediaType: DOCKER_MANIFEST }, DOCKER_MANIFEST],
    ['a docker list', { ...INDEX, mediaType: DOCKER_MANIFEST_LIST }, DOCKER_MANIFEST_LIST],
    ['an image without a media type', { ...IMAGE, mediaType: undefined }, OCI_MANIFEST],
    ['null for what is absent', { ...IMAGE, subject: null, annotations: null, layers: null }, OCI_MANIFEST],
  ])('%s is given back byte for byte', async (_, document, type) => {
    const body = Buffer.from(JSON.stringify(document, undefined, 3))
    const pushed = await wire.sound('PUT', '/v2/p/app/manifests/same', { body, headers: { 'Content-Type': `${type}; charset=utf-8` } })
    expect(pushed).toMatchObject({ status: 201, headers: { location: '/v2/p/app/manifests/same', 'docker-content-digest': sha256(body) } })
    const pulled = await wire.sound('GET', '/v2/p/app/manifests/same')
    expect(pulled).toMatchObject({ status: 200, headers: { 'content-type': type, 'docker-content-digest': sha256(body) } })
    expect(pulled.body.equals(body)).toBe(true)
  })

  test('by a digest that is not its own is refused', async () => {
    const body = JSON.stringify(IMAGE)
    expect(await put(body, OCI_MANIFEST, `/v2/p/app/manifests/sha256:${'0'.repeat(64)}`)).toBe('400 DIGEST_INVALID')
    const sha512 = `sha512:${createHash('sha512').update(body).digest('hex')}`
    expect(await put(body, OCI_MANIFEST, `/v2/p/app/manifests/${sha512}`)).toBe('201')
    expect(await wire.asked('GET', `/v2/p/app/manifests/${sha512}`)).toBe('200')
  })

  test('names its subject in the answer', async () => {
    const subject = { ...EMPTY, mediaType: OCI_MANIFEST }
    const { headers } = await wire.sound('PUT', '/v2/p/app/manifests/refers', { body: JSON.stringify({ ...IMAGE, subject }), headers: { 'Content-Type': OCI_MANIFEST } })
    expect(headers['oci-subject']).toBe(EMPTY.digest)
  })

  const tagged = (tags: readonly string[]): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> => {
    const body = JSON.stringify(IMAGE)
    return wire.sound('PUT', `/v2/p/tags/manifests/${sha256(Buffer.from(body))}?${tags.map((tag) => `tag=${tag}`).join('&')}`, { body, headers: { 'Content-Type': OCI_MANIFEST } })
  }

  test('500 tags at once are set, and told; 501 are too many', async () => {
    const tags = Array.from({ length: 500 }, (_, index) => `t${index}`.padEnd(128, '_'))
    const many = await tagged([...tags, 'one-more'])
    expect([many.status, codeIn(many.body)]).toEqual([414, 'UNSUPPORTED'])
    expect(await wire.asked('GET', '/v2/p/tags/tags/list')).toBe('404 NAME_UNKNOWN')

    const pushed = await tagged([...tags, 't0'.padEnd(128, '_')])
    expect(pushed.status).toBe(201)
    expect(String(pushed.headers['oci-tag']).split(', ')).toEqual(tags)
    const listed = JSON.parse((await wire.sound('GET', '/v2/p/tags/tags/list')).body.toString()) as { tags: string[] }
    expect(listed.tags).toEqual(tags.toSorted())
    expect((await tagged(['fine', 'not fine'.replace(' ', '%20')])).status).toBe(400)
    expect((await tagged([''])).status).toBe(400)
    expect(await wire.asked('HEAD', '/v2/p/tags/manifests/fine')).toBe('404')
  })
})

describe('what was said is so at once', () => {
  test('a HEAD after 201 finds it, and after DELETE does not, forty times', async () => {
    for (let round = 0; round < 40; round += 1) {
      const pushed = await client.pushManifest('p/app', 'loop', { ...IMAGE, annotations: { round: String(round % 3) } })
      const byTag = await wire.sound('HEAD', '/v2/p/app/manifests/loop')
      expect([byTag.status, byTag.headers['docker-content-digest']]).toEqual([200, pushed.digest])
      expect(await wire.asked('DELETE', `/v2/p/app/manifests/${round % 2 === 0 ? 'loop' : pushed.digest}`)).toBe('202')
      expect(await wire.asked('HEAD', '/v2/p/app/manifests/loop')).toBe('404')
      expect(await wire.asked('HEAD', `/v2/p/app/manifests/${pushed.digest}`)).toBe(round % 2 === 0 ? '200' : '404')
      expect(await wire.asked('DELETE', '/v2/p/app/manifests/loop')).toBe('404 MANIFEST_UNKNOWN')
    }
  })

  test("a tag's end leaves the manifest; the manifest's end takes its tags, and a later push does not bring them back", async () => {
    const { digest, bytes } = await client.pushManifest('p/ends', 'a', IMAGE)
    for (const tag of ['b', 'c']) await client.pushManifest('p/ends', tag, IMAGE)
    expect(await wire.asked('DELETE', '/v2/p/ends/manifests/a')).toBe('202')
    expect(await wire.asked('GET', '/v2/p/ends/manifests/a')).toBe('404 MANIFEST_UNKNOWN')
    expect(await wire.asked('GET', '/v2/p/ends/manifests/b')).toBe('200')
    expect(await wire.asked('DELETE', `/v2/p/ends/manifests/${digest}`)).toBe('202')
    expect(await wire.asked('DELETE', `/v2/p/ends/manifests/${digest}`)).toBe('404 MANIFEST_UNKNOWN')
    for (const reference of ['b', 'c', digest]) expect(await wire.asked('GET', `/v2/p/ends/manifests/${reference}`)).toBe('404 MANIFEST_UNKNOWN')
    expect((await wire.sound('GET', '/v2/p/ends/tags/list')).body.toString()).toBe('{"name":"p/ends","tags":[]}')

    expect(await put(bytes, OCI_MANIFEST, `/v2/p/ends/manifests/${digest}`)).toBe('201')
    expect(await wire.asked('GET', `/v2/p/ends/manifests/${digest}`)).toBe('200')
    for (const tag of ['a', 'b', 'c']) expect(await wire.asked('GET', `/v2/p/ends/manifests/${tag}`)).toBe('404 MANIFEST_UNKNOWN')
  })

  test('a deleted blob is linked again by the push of what names it', async () => {
    const layer = Buffer.from('a layer that comes back')
    const image = await client.pushImage('p/relink', 'v1', layer)
    const blob = `/v2/p/relink/blobs/${image.layerDigest}`
    expect(await wire.asked('DELETE', blob)).toBe('202')
    expect(await wire.asked('GET', blob)).toBe('404 BLOB_UNKNOWN')
    expect(await wire.asked('DELETE', blob)).toBe('404 BLOB_UNKNOWN')
    expect(await put(image.bytes, OCI_MANIFEST, '/v2/p/relink/manifests/v1')).toBe('201')
    expect((await wire.sound('GET', blob)).body.equals(layer)).toBe(true)
  })

  test('naming a blob of somebody else in a manifest gives no right to it', async () => {
    const secret = Buffer.from('a layer of somebody else')
    const digest = await client.pushBlob('other/app', secret)
    await client.pushBlob('p/thief', Buffer.from('{}'))
    await client.pushManifest('p/thief', 'v1', imageManifest(EMPTY, [{ digest, size: secret.length }]))
    expect(await wire.asked('GET', `/v2/p/thief/blobs/${digest}`)).toBe('404 BLOB_UNKNOWN')
    expect(await wire.asked('HEAD', `/v2/p/thief/blobs/${digest}`)).toBe('404')
  })
})

describe('VARVE_SPARSE=refuse', () => {
  test('names what is not here', async () => {
    const strict = await startVarve({ env: { VARVE_SPARSE: 'refuse' } })
    const its = wireClient(strict)
    try {
      const pushing = registryClient(strict)
      const absent = { digest: sha256(Buffer.from('absent')), size: 6 }
      const send = (document: object, type: string): ReturnType<typeof its.sound> =>
        its.sound('PUT', '/v2/p/app/manifests/v1', { body: JSON.stringify(document), headers: { 'Content-Type': type } })
      const refused = await send(imageManifest(absent, [absent]), OCI_MANIFEST)
      expect(refused.status).toBe(404)
      expect(JSON.parse(refused.body.toString())).toMatchObject({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', detail: [{ digest: absent.digest }] }] })
      expect((await send({ ...INDEX, manifests: [{ ...absent, mediaType: OCI_MANIFEST }] }, OCI_INDEX)).status).toBe(404)
      // A subject may be absent always, and so may what a client need not push.
      await pushing.pushBlob('p/app', Buffer.from('{}'))
      const foreign = { ...absent, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar', urls: ['https://x'] }
      expect((await send({ ...IMAGE, layers: [foreign], subject: { ...absent, mediaType: OCI_MANIFEST } }, OCI_MANIFEST)).status).toBe(201)
    } finally {
      its.close()
      await strict.stop()
    }
  })
})

test('nothing of all that was an error of the server', () => {
  expect(server.output().split('\n').filter((line) => /"level":"(error|warn)"|unhandled/i.test(line))).toEqual([])
})
