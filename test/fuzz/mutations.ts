import type { Seeded } from '../support/random.ts'
import { OCI_INDEX, OCI_MANIFEST, imageManifest, sha256 } from '../support/registry.ts'

/** A request as a text with parts; what stands in it is sent as it is. */
export type Request = {
  readonly method: string
  readonly path: string
  readonly query: readonly string[]
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer | undefined
}

/** What a request may name: what is there, and what is not. */
export type World = {
  readonly names: readonly string[]
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  /** Paths of uploads that were opened, and may be over. */
  readonly uploads: readonly string[]
  /** Paths of manifests and blobs that nobody deletes. */
  readonly kept: readonly string[]
}

const NONE = `sha256:${'0'.repeat(64)}`
export const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'] as const
const VALID: readonly (readonly [string, (world: World, random: Seeded) => Partial<Request> & { readonly path: string }])[] = [
  ['GET', () => ({ path: '/v2/' })],
  ['GET', (_, random) => ({ path: '/v2/_catalog', query: [`n=${random.below(5)}`] })],
  ['GET', (world, random) => ({ path: `${name(world, random)}/tags/list`, query: [`n=${random.below(5)}`, `last=${random.pick(world.tags)}`] })],
  ['GET', (world, random) => ({ path: `${name(world, random)}/referrers/${random.pick(world.digests)}` })],
  ['GET', (world, random) => ({ path: `${name(world, random)}/manifests/${reference(world, random)}` })],
  ['HEAD', (world, random) => ({ path: `${name(world, random)}/manifests/${reference(world, random)}` })],
  ['DELETE', (world, random) => ({ path: `${name(world, random)}/manifests/${reference(world, random)}` })],
  ['PUT', (world, random) => manifestPush(world, random)],
  ['GET', (world, random) => ({ path: `${name(world, random)}/blobs/${random.pick(world.digests)}` })],
  ['HEAD', (world, random) => ({ path: `${name(world, random)}/blobs/${random.pick(world.digests)}` })],
  ['DELETE', (world, random) => ({ path: `${name(world, random)}/blobs/${random.pick(world.digests)}` })],
  ['POST', (world, random) => ({ path: `${name(world, random)}/blobs/uploads/` })],
  ['POST', (world, random) => blobPush(world, random)],
  ['POST', (world, random) => ({ path: `${name(world, random)}/blobs/uploads/`, query: [`mount=${random.pick(world.digests)}`, `from=${random.pick(world.names)}`] })],
  ['PATCH', (world, random) => ({ path: random.pick(world.uploads), body: random.bytes(random.below(100)) })],
  ['PUT', (world, random) => ({ path: random.pick(world.uploads), query: [`digest=${random.pick(world.digests)}`], body: random.bytes(random.below(100)) })],
  ['GET', (world, random) => ({ path: random.pick(world.uploads) })],
  ['DELETE', (world, random) => ({ path: random.pick(world.uploads) })],
]
/** How many routes and methods there are that go well. */
export const ROUTES = VALID.length

const name = (world: World, random: Seeded): string => `/v2/${random.pick(world.names)}`
const reference = (world: World, random: Seeded): string => random.pick(random.below(2) === 0 ? world.tags : world.digests)

function document(world: World, random: Seeded): object {
  const part = () => ({ digest: random.pick(world.digests), size: random.below(1_000) })
  if (random.below(3) === 0) return { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...part(), mediaType: OCI_MANIFEST, platform: { os: 'linux', architecture: 'amd64' } }] }
  const subject = random.below(2) === 0 ? { subject: { ...part(), mediaType: OCI_MANIFEST } } : {}
  return imageManifest(part(), [part(), part()], { artifactType: 'application/x.fuzz', annotations: { salt: String(random.below(20)) }, ...subject })
}

function manifestPush(world: World, random: Seeded): Partial<Request> & { readonly path: string } {
  const pushed = document(world, random)
  const body = Buffer.from(JSON.stringify(pushed))
  const type = 'manifests' in pushed ? OCI_INDEX : OCI_MANIFEST
  const byDigest = random.below(3) === 0
  return {
    path: `${name(world, random)}/manifests/${byDigest ? sha256(body) : random.pick(world.tags)}`,
    query: byDigest ? [`tag=${random.pick(world.tags)}`, `tag=${random.pick(world.tags)}`] : [],
    headers: [['Content-Type', type]],
    body,
  }
}

function blobPush(world: World, random: Seeded): Partial<Request> & { readonly path: string } {
  const body = Buffer.from(`blob ${random.below(50)}`)
  return { path: `${name(world, random)}/blobs/uploads/`, query: [`digest=${sha256(body)}`], body }
}

/** A request that is as it should be, of one route and method. */
export function validRequest(route: number, world: World, random: Seeded): Request {
  const [method, make] = VALID[route % VALID.length] ?? VALID[0] ?? []
  if (method === undefined || make === undefined) throw new Error('no routes')
  return { method, query: [], headers: [], body: undefined, ...make(world, random) }
}

const ODD_TEXTS = [
  '', ' ', '.', '..', '...', '/', '//', '%00', '%2F', '%2e%2e', '%', '%zz', '%FF', '%ED%A0%80', '\\', "'", '"', '`', '<x>', ';', '#', '&', '?', '@', ':', '::', '*',
  '-', '_', '-1', '0', '1e9', '9'.repeat(40), 'NaN', 'null', 'undefined', '__proto__', 'constructor', 'A', 'a'.repeat(129), 'a'.repeat(256), 'a'.repeat(6_000), '\u00ff', '\u00e9',
  '${x}', '{{x}}', '\'; drop table x; --', 'sha256:', 'sha256:zz', NONE.toUpperCase(), `${NONE}0`, `sha512:${'0'.repeat(128)}`, `md5:${'0'.repeat(32)}`, 'asof', 'v2', 'api', 'blobs', 'manifests', 'uploads',
].map((text) => text.replaceAll(' ', '%20'))

const withHeader = (request: Request, key: string, value: string): Request => ({ ...request, headers: [...request.headers.filter(([each]) => each !== key), [key, value]] })
/** Half of the time of something that is there, or few ranges and conditions would be looked at. */
const ofKept = (request: Request, random: Seeded, world: World): Request =>
  random.below(2) === 0 ? request : { method: random.pick(['GET', 'HEAD']), path: random.pick(world.kept), query: [], headers: [], body: undefined }
const replacePart = (path: string, index: number, text: string): string => path.split('/').map((part, at) => (at === index ? text : part)).join('/')

const ODD_VALUES: readonly unknown[] = [
  null, true, 0, -1, 1.5, 1e30, 2 ** 53, '', '\u0000', '\ud800', 'x'.repeat(3_000), [], {}, [null], [[]], { a: { b: [] } }, 'sha256:', NONE, OCI_MANIFEST, OCI_INDEX, 'text/plain',
]
const ODD_KEYS = ['__proto__', 'constructor', 'toString', 'Layers', 'CONFIG', 'layers', 'manifests', 'config', 'fsLayers', 'subject', 'mediaType', 'schemaVersion', '', '\u0000', '\udc00', 'refused', 'x'.repeat(3_000)]

/** A copy with one thing in it that is not as it should be. */
function spoil(value: unknown, random: Seeded): unknown {
  if (typeof value !== 'object' || value === null || random.below(6) === 0) return random.pick(ODD_VALUES)
  if (Array.isArray(value)) {
    if (value.length === 0 || random.below(4) === 0) return [...(value as unknown[]), random.pick(ODD_VALUES)]
    const index = random.below(value.length)
    return value.map((each: unknown, at) => (at === index ? spoil(each, random) : each))
  }
  const entries = Object.entries(value) as [string, unknown][]
  const chosen = random.below(entries.length + 1)
  if (chosen === entries.length) return Object.fromEntries([...entries, [random.pick(ODD_KEYS), random.pick(ODD_VALUES)]])
  if (random.below(4) === 0) return Object.fromEntries(entries.filter((_, at) => at !== chosen))
  return Object.fromEntries(entries.map(([key, each], at) => (at === chosen ? [key, spoil(each, random)] : [key, each])))
}

export type Mutation = (request: Request, random: Seeded, world: World) => Request

/** What a client with good manners towards HTTP can send. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'none': (request) => request,
  'another method': (request, random) => ({ ...request, method: random.pick(METHODS) }),
  'an odd part of the path': (request, random) => ({ ...request, path: replacePart(request.path, 1 + random.below(request.path.split('/').length - 1), random.pick(ODD_TEXTS)) }),
  'something within the path': (request, random) => {
    const at = random.below(request.path.length)
    return { ...request, path: `${request.path.slice(0, at)}${random.pick(ODD_TEXTS)}${request.path.slice(at + random.below(3))}` }
  },
  'an odd parameter': (request, random) => {
    const key = random.pick(['n', 'last', 'digest', 'mount', 'from', 'tag', 'digest-algorithm', 'artifactType', 'x', '__proto__', '%00', ''])
    const odd = `${key}=${random.pick(ODD_TEXTS)}`
    return { ...request, query: random.below(2) === 0 ? [...request.query, odd] : [odd, ...request.query.filter((each) => !each.startsWith(`${key}=`))] }
  },
  'many parameters': (request, random) => ({ ...request, query: Array.from({ length: random.pick([10, 499, 500, 501, 1_000]) }, (_, index) => `tag=${random.pick(['t', '%00', 't t'.replace(' ', '+')])}${index}`) }),
  'a range': (request, random, world) =>
    withHeader(
      ofKept(request, random, world),
      'Range',
      random.pick(['bytes=0-0', 'bytes=-1', 'bytes=5-', 'bytes=9-3', 'bytes=0-0,2-3', `bytes=${random.pick(ODD_TEXTS)}-${random.pick(ODD_TEXTS)}`, random.pick(ODD_TEXTS)]),
    ),
  'a place of a chunk': (request, random) => {
    const length = request.body?.length ?? 0
    const first = random.pick([0, 0, 1, 50, 2 ** 53])
    const range = random.pick([`${first}-${first + length - 1}`, `${first}-${first + length}`, `bytes ${first}-${first + length - 1}/*`, random.pick(ODD_TEXTS), `0-${random.pick(ODD_TEXTS)}`])
    return withHeader(request, 'Content-Range', range)
  },
  'a condition': (request, random, world) =>
    withHeader(
      ofKept(request, random, world),
      random.pick(['If-None-Match', 'If-Match', 'If-Range', 'If-Modified-Since']),
      random.pick(['*', `"${random.pick(world.digests)}"`, `W/"${random.pick(world.digests)}", "x"`, '"', random.pick(ODD_TEXTS)]),
    ),
  'another type': (request, random) => withHeader(request, random.pick(['Content-Type', 'Accept', 'Content-Encoding']), random.pick([OCI_MANIFEST, OCI_INDEX, 'application/json', 'gzip', 'text/html;q=x', random.pick(ODD_TEXTS)])),
  'a spoilt document': (_, random, world) => {
    const push = validRequest(7, world, random)
    let spoilt: unknown = JSON.parse((push.body ?? Buffer.from('{}')).toString())
    for (let times = random.below(3); times >= 0; times -= 1) spoilt = spoil(spoilt, random)
    return { ...push, body: Buffer.from(JSON.stringify(spoilt)) }
  },
  'spoilt bytes': (request, random, world) => {
    const { body = Buffer.from('x'), ...rest } = request.body === undefined ? validRequest(random.pick([7, 12]), world, random) : request
    const bytes = Buffer.from(body)
    for (let times = 0; times < 3 && bytes.length > 0; times += 1) bytes[random.below(bytes.length)] = random.below(256)
    return { ...rest, body: random.below(3) === 0 ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes }
  },
  'a body that nobody wants': (request, random) => ({ ...request, body: Buffer.alloc(random.pick([1, 100, 70_000, 1_100_000])) }),
  'other credentials': (request, random) =>
    // A wrong password costs a verification, so there are few.
    withHeader(request, 'Authorization', random.below(40) === 0 ? `Basic ${Buffer.from(`admin:${random.pick(ODD_TEXTS)}`).toString('base64')}` : random.pick(['', 'Basic', 'Basic x', 'Bearer x', 'Basic ====', '\u00ff', 'Negotiate'])),
  'odd headers': (request, random) =>
    withHeader(
      request,
      random.pick(['X-Forwarded-For', 'Forwarded', 'User-Agent', 'Host', 'X-Request-Id', 'Docker-Upload-UUID', 'Accept-Encoding', 'X-HTTP-Method-Override', 'Origin', 'TE', 'Upgrade', 'Cookie', 'Expect', '__proto__']),
      random.pick(ODD_TEXTS) || 'x',
    ),
  'another target': (request, random) => ({
    ...request,
    path: random.pick([`http://x${request.path}`, `HTTPS://u:p@h:1${request.path}`, `/${request.path}`, `${request.path}/`, '/healthz', '/readyz', '/metrics', '/service/token', '/api/v2.0/x', '*', '/v2', '/', `http://${request.path}`, `/v2/..${request.path}`]),
  }),
}
