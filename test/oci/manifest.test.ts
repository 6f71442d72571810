import { describe, expect, it } from '@jest/globals'
import { digestOf } from '../../src/oci/digest.ts'
import { isRefusal } from '../../src/oci/errors.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import {
  DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST, OCTET_STREAM,
} from '../../src/oci/media-types.ts'
import { DOCKER_IMAGE_CONFIG, OCI_EMPTY, OCI_IMAGE_CONFIG } from '../support/media-types.ts'

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
const NONDISTRIBUTABLE = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'

function descriptor(content: string, mediaType: string, more: object = {}) {
  return { mediaType, digest: digestOf('sha256', Buffer.from(content)), size: content.length, ...more }
}

const config = descriptor('config', OCI_IMAGE_CONFIG)
const layer = descriptor('layer', LAYER)
const untyped = { schemaVersion: 2, config, layers: [layer] }
const image = { ...untyped, mediaType: OCI_IMAGE_MANIFEST }
const untypedIndex = { schemaVersion: 2, manifests: [descriptor('child', OCI_IMAGE_MANIFEST)] }
const index = { ...untypedIndex, mediaType: OCI_IMAGE_INDEX }

function parse(body: unknown, contentType?: string) {
  return parseManifest(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), contentType)
}

describe('a manifest', () => {
  it('of an image names its blobs, each once', () => {
    expect(parse({ ...image, layers: [layer, layer, config] }, OCI_IMAGE_MANIFEST)).toEqual({
      mediaType: OCI_IMAGE_MANIFEST, kind: 'image', artifactType: OCI_IMAGE_CONFIG, config, blobs: [config, layer], foreign: [], children: [],
    })
  })

  it('of docker is the same in other types', () => {
    const docker = { ...image, mediaType: DOCKER_MANIFEST, config: descriptor('config', DOCKER_IMAGE_CONFIG) }
    expect(parse(docker, DOCKER_MANIFEST)).toMatchObject({ mediaType: DOCKER_MANIFEST, kind: 'image', artifactType: DOCKER_IMAGE_CONFIG })
    expect(parse({ ...index, mediaType: DOCKER_MANIFEST_LIST }, DOCKER_MANIFEST_LIST)).toMatchObject({
      mediaType: DOCKER_MANIFEST_LIST, kind: 'index', children: index.manifests,
    })
  })

  it('of an index names its children, one for each platform', () => {
    const amd64 = descriptor('child', OCI_IMAGE_MANIFEST, { platform: { architecture: 'amd64', os: 'linux' } })
    const arm64 = descriptor('child', OCI_IMAGE_MANIFEST, { platform: { architecture: 'arm64', os: 'linux', variant: 'v8', 'os.features': ['x'] } })
    expect(parse({ ...index, manifests: [amd64, arm64] }, OCI_IMAGE_INDEX)).toEqual({
      mediaType: OCI_IMAGE_INDEX, kind: 'index', blobs: [], foreign: [], children: [amd64, arm64],
    })
  })

  it.each([FOREIGN, NONDISTRIBUTABLE])('lists layers of %s apart', (mediaType) => {
    const foreign = descriptor('base', mediaType, { urls: ['https://example.com/base'] })
    expect(parse({ ...image, layers: [foreign, layer, foreign] }, OCI_IMAGE_MANIFEST)).toMatchObject({ blobs: [config, layer], foreign: [foreign] })
  })

  it('that also lists a foreign layer as a usual one needs its bytes', () => {
    const layers = [{ ...layer, mediaType: NONDISTRIBUTABLE }, layer]
    expect(parse({ ...image, layers }, OCI_IMAGE_MANIFEST)).toMatchObject({ blobs: [config, layer], foreign: [] })
  })

  it('carries subject and annotations', () => {
    const subject = descriptor('subject', OCI_IMAGE_MANIFEST)
    const annotations = { 'org.example.a': 'b', __proto__key: 'ü' }
    expect(parse({ ...image, subject, annotations }, OCI_IMAGE_MANIFEST)).toMatchObject({ subject: subject.digest, annotations })
    expect(parse({ ...index, subject, annotations }, OCI_IMAGE_INDEX)).toMatchObject({ subject: subject.digest, annotations })
  })

  it.each([
    ['the field', { ...image, artifactType: 'application/x' }, 'application/x'],
    ['an image’s config, without the field', image, OCI_IMAGE_CONFIG],
    ['an image’s config, with an empty field', { ...image, artifactType: '' }, OCI_IMAGE_CONFIG],
    ['nothing, where the config’s is empty too', { ...image, config: { ...config, mediaType: '' } }, undefined],
    ['an index’s field', { ...index, artifactType: 'application/x' }, 'application/x'],
    ['nothing, for an index without it', index, undefined],
  ])('has the artifact type of %s', (_case, body, expected) => {
    expect(parse(body)).toHaveProperty('kind')
    expect(parse(body)).toEqual(expect.objectContaining(expected === undefined ? {} : { artifactType: expected }))
    expect('artifactType' in parse(body)).toBe(expected !== undefined)
  })

  it.each([
    ['an empty index', { ...index, manifests: [] }],
    ['an index of null, as Go writes a nil slice', { ...index, manifests: null }],
    ['no layers', { ...image, layers: [] }],
    ['layers of null', { ...image, layers: null }],
    ['the field layers absent', { ...image, layers: undefined }],
    ['null in every optional field', { ...image, artifactType: null, subject: null, annotations: null, manifests: null }],
    ['null in a descriptor', { ...image, layers: [{ ...layer, urls: null, annotations: null, platform: null, artifactType: null }] }],
    ['an artifact without layers', { ...image, artifactType: 'application/x', config: descriptor('{}', OCI_EMPTY), layers: [descriptor('{}', OCI_EMPTY)] }],
    ['a data field', { ...image, config: { ...config, data: Buffer.from('config').toString('base64') } }],
    ['custom fields', { ...image, 'org.EXAMPLE': 'x', other: { deep: [1] }, config: { ...config, custom: 1 } }],
    ['a subject of sha512', { ...image, subject: { mediaType: OCI_IMAGE_MANIFEST, digest: `sha512:${'0'.repeat(128)}`, size: 123 } }],
    ['an empty blob', { ...image, layers: [{ ...layer, size: 0 }] }],
    ['a huge blob', { ...image, layers: [{ ...layer, size: Number.MAX_SAFE_INTEGER }] }],
    ['astral characters, escaped', `{"schemaVersion":2,"annotations":{"\\ud83d\\ude00":"\\u0041\\\\ud83d"},"config":${JSON.stringify(config)}}`],
    ['whitespace behind it', `${JSON.stringify(image)}\n  `],
  ])('may have %s', (_case, body) => {
    expect(parse(body)).not.toHaveProperty('refused')
  })

  it('may be as large and as deep as the bound allows', () => {
    const annotations = Object.fromEntries(Array.from({ length: 390 }, (_value, number) => [`large-annotation-${number}`, 'A'.repeat(10_000)]))
    expect(parse({ ...image, annotations }, OCI_IMAGE_MANIFEST)).toMatchObject({ annotations })
    const depth = 1_000_000
    const deep = `{"schemaVersion":2,"config":${JSON.stringify(config)},"x":${'['.repeat(depth)}"\\u0041"${']'.repeat(depth)}}`
    expect(parse(deep)).toMatchObject({ kind: 'image' })
  })

  it.each([
    ['both agree', image, OCI_IMAGE_MANIFEST, OCI_IMAGE_MANIFEST],
    ['the Content-Type has parameters', image, `${OCI_IMAGE_MANIFEST}; charset=utf-8`, OCI_IMAGE_MANIFEST],
    ['the Content-Type is in capitals', image, OCI_IMAGE_MANIFEST.toUpperCase(), OCI_IMAGE_MANIFEST],
    ['there is no Content-Type', image, undefined, OCI_IMAGE_MANIFEST],
    ['the Content-Type is empty', image, ' ', OCI_IMAGE_MANIFEST],
    ['the body has no mediaType', untyped, DOCKER_MANIFEST, DOCKER_MANIFEST],
    ['the body’s mediaType is empty', { ...image, mediaType: '' }, DOCKER_MANIFEST, DOCKER_MANIFEST],
    ['the body’s mediaType is null', { ...image, mediaType: null }, DOCKER_MANIFEST, DOCKER_MANIFEST],
    ['neither is there, an image', untyped, undefined, OCI_IMAGE_MANIFEST],
    ['neither is there, an index', untypedIndex, undefined, OCI_IMAGE_INDEX],
    ['an index has no mediaType', untypedIndex, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST_LIST],
  ])('gets its type where %s', (_case, body, contentType, mediaType) => {
    expect(parse(body, contentType)).toMatchObject({ mediaType })
  })

  it.each([
    ['nothing', '', undefined, /not JSON/],
    ['no JSON', '{', undefined, /not JSON/],
    ['a JSON array', '[]', undefined, /not a JSON object/],
    ['null', 'null', undefined, /not a JSON object/],
    ['a string', '"x"', undefined, /not a JSON object/],
    ['a byte order mark', `\ufeff${JSON.stringify(image)}`, undefined, /not JSON/],
    ['U+0000 in a value', { ...image, annotations: { a: '\0' } }, undefined, /U\+0000/],
    ['U+0000 in a key', { ...image, 'a\0': 1 }, undefined, /U\+0000/],
    ['U+0000 in a field unknown to us', { ...image, x: [[{ y: 'z\0' }]] }, undefined, /U\+0000/],
    ['a lone high surrogate', { ...image, annotations: { a: '\ud83d' } }, undefined, /surrogate/],
    ['a lone low surrogate in a key', { ...image, annotations: { '\ude00': 'a' } }, undefined, /surrogate/],
    ['surrogates the wrong way round', { ...image, annotations: { a: '\ude00\ud83d' } }, undefined, /surrogate/],
    ['a high surrogate before a pair', { ...image, annotations: { a: '\ud83d\ud83d\ude00' } }, undefined, /surrogate/],
    ['a low surrogate behind an escaped backslash', `{"schemaVersion":2,"x":"\\\\ud83d\\ude00","config":${JSON.stringify(config)}}`, undefined, /surrogate/],
    ['layers and manifests', { ...image, manifests: [] }, undefined, /image .* and of an index/],
    ['config and manifests', { ...index, config }, OCI_IMAGE_INDEX, /image .* and of an index/],
    ['an image called an index', { ...image, mediaType: OCI_IMAGE_INDEX }, undefined, /has no field config, layers/],
    ['an index called an image', { ...index, mediaType: OCI_IMAGE_MANIFEST }, undefined, /has no field manifests/],
    ['an index sent as an image', untypedIndex, DOCKER_MANIFEST, /has no field manifests/],
    ['an image sent as an index', untyped, DOCKER_MANIFEST_LIST, /has no field/],
    ['a mediaType that is not the Content-Type', image, DOCKER_MANIFEST, /Content-Type/],
    ['an unknown Content-Type', untyped, 'application/json', /unknown Content-Type application\/json/],
    ['another’s Content-Type', image, OCTET_STREAM, /unknown Content-Type/],
    ['an unknown mediaType', { ...image, mediaType: 'application/json' }, OCI_IMAGE_MANIFEST, /mediaType/],
    ['a mediaType that is an object’s own word', { ...image, mediaType: 'constructor' }, undefined, /mediaType/],
    ['a mediaType that is no string', { ...image, mediaType: 2 }, OCI_IMAGE_MANIFEST, /mediaType must be string/],
    ['layers in capitals beside an index', { ...index, Layers: [layer] }, undefined, /Layers instead of layers/],
    ['manifests with a long s', { ...image, manifeſts: [] }, undefined, /instead of manifests/],
    ['schemaVersion 1', { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [] }, DOCKER_SCHEMA_1, /schema 1/],
    ['schemaVersion 1 in another type', { ...image, schemaVersion: 1 }, OCI_IMAGE_MANIFEST, /schema 1/],
    ['the type of schema 1', image, DOCKER_SCHEMA_1_SIGNED, /schema 1/],
    ['the mediaType of schema 1', { ...image, mediaType: DOCKER_SCHEMA_1 }, undefined, /schema 1/],
    ['the layers of schema 1 beside others', { ...image, fsLayers: [{ blobSum: layer.digest }] }, undefined, /schema 1/],
    ['schemaVersion 3', { ...image, schemaVersion: 3 }, undefined, /schemaVersion/],
    ['no schemaVersion', { ...image, schemaVersion: undefined }, undefined, /schemaVersion/],
    ['no config', { ...image, config: undefined }, undefined, /config/],
    ['an index without manifests', { ...index, manifests: undefined }, undefined, /manifests/],
    ['an empty object', {}, undefined, /schemaVersion/],
    ['layers that are no list', { ...image, layers: {} }, undefined, /layers must be array/],
    ['a descriptor without a media type', { ...image, layers: [{ ...layer, mediaType: undefined }] }, undefined, /layers\/0/],
    ['a descriptor without a size', { ...image, layers: [{ ...layer, size: undefined }] }, undefined, /layers\/0/],
    ['a negative size', { ...image, layers: [{ ...layer, size: -1 }] }, undefined, /layers\/0\/size/],
    ['half a byte', { ...image, layers: [{ ...layer, size: 0.5 }] }, undefined, /layers\/0\/size/],
    ['a size that is not counted exactly', JSON.stringify({ ...image, layers: [{ ...layer, size: 1 }] }).replace('"size":1}', '"size":9007199254740992}'), undefined, /size/],
    ['a size in letters', { ...image, layers: [{ ...layer, size: '1' }] }, undefined, /layers\/0\/size/],
    ['a bad digest', { ...image, config: { ...config, digest: 'sha256:baddigeststring' } }, undefined, /config\/digest/],
    ['a digest of an unknown algorithm', { ...image, config: { ...config, digest: `sha384:${'0'.repeat(96)}` } }, undefined, /config\/digest/],
    ['a bad subject', { ...image, subject: { ...layer, digest: 'x' } }, undefined, /subject/],
    ['annotations that are no strings', { ...image, annotations: { a: 1 } }, undefined, /annotations/],
    ['words that pass for a refusal', { refused: true, code: 'DENIED', message: 'x', status: 200 }, undefined, /schemaVersion/],
  ])('may not have %s', (_case, body, contentType, message) => {
    expect(parse(body, contentType)).toEqual({ refused: true, code: 'MANIFEST_INVALID', message: expect.stringMatching(message) })
  })

  it('may not hold broken UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])
    expect(parseManifest(bytes, OCI_IMAGE_MANIFEST)).toMatchObject({ code: 'MANIFEST_INVALID' })
    expect(isRefusal(parseManifest(Buffer.from([0x7b, 0xff, 0x7d]), undefined))).toBe(true)
  })

  it('is refused in few words, however long what is wrong with it', () => {
    const refused = parse({ ...image, annotations: { ['a'.repeat(1_000_000)]: 1 } })
    expect(JSON.stringify(refused).length).toBeLessThan(500)
    expect(JSON.stringify(parse({ ...image, mediaType: 'a'.repeat(1_000_000) })).length).toBeLessThan(500)
  })
})
