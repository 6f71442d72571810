import type { Seeded } from '../support/random.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../support/registry.ts'
import { NONE, requestTo, withHeader } from './requests.ts'
import type { Request, World } from './requests.ts'

export const ODD_TEXTS = [
  '', ' ', '.', '..', '...', '/', '//', '%00', '%2F', '%2e%2e', '%', '%zz', '%FF', '%ED%A0%80', '\\', "'", '"', '`', '<x>', ';', '#', '&', '?', '@', ':', '::', '*',
  '-', '_', '-1', '0', '1e9', '9'.repeat(40), 'NaN', 'null', 'undefined', '__proto__', 'constructor', 'A', 'a'.repeat(129), 'a'.repeat(256), 'a'.repeat(6_000), '\u00ff', '\u00e9',
  '${x}', '{{x}}', '\'; drop table x; --', 'sha256:', 'sha256:zz', NONE.toUpperCase(), `${NONE}0`, `sha512:${'0'.repeat(128)}`, `md5:${'0'.repeat(32)}`, 'asof', 'v2', 'api', 'blobs', 'manifests', 'uploads',
].map((text) => text.replaceAll(' ', '%20'))

/** Mostly of something that is there, or few ranges and conditions would be looked at. */
const ofKept = (request: Request, random: Seeded, world: World): Request =>
  (request.method !== 'GET' && request.method !== 'HEAD') || random.below(3) === 0 ? request : { ...request, path: random.pick(world.kept.slice(0, -1)), query: [] }
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

const LINE_BREAKS = ['%0d%0aX-Injected:%20yes', '%0aX-Injected:%20yes', '%0d%0a%0d%0aHTTP/1.1%20200%20OK%0d%0a%0d%0a', '%E5%98%8D%E5%98%8AX-Injected:%20yes', '%250d%250aX-Injected:%20yes', '%00%0d']

/** Letters as escapes, which mean the same to most who read a path. */
const escaped = (text: string, random: Seeded): string =>
  Array.from(text, (letter, at) => (at > 0 && random.below(4) === 0 ? `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}` : letter)).join('')

export type Mutation = (request: Request, random: Seeded, world: World) => Request

/** What a client with good manners towards HTTP can send. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'none': (request) => request,
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
      random.pick(['bytes=0-0', 'bytes=-1', 'bytes=5-', 'bytes=9-3', 'bytes=7-70', 'bytes=-999999', 'bytes=0-0,2-3', `bytes=${random.pick(ODD_TEXTS)}-${random.pick(ODD_TEXTS)}`, random.pick(ODD_TEXTS)]),
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
      random.pick(['*', `"${random.pick(world.digests)}"`, `"${world.digests.at(-1) ?? ''}"`, `"${world.digests.at(-2) ?? ''}"`, `W/"${random.pick(world.digests)}", "x"`, '"', random.pick(ODD_TEXTS)]),
    ),
  'another type': (request, random) => withHeader(request, random.pick(['Content-Type', 'Accept', 'Content-Encoding']), random.pick([OCI_MANIFEST, OCI_INDEX, 'application/json', 'gzip', 'text/html;q=x', random.pick(ODD_TEXTS)])),
  'a spoilt document': (request, random, world) => {
    const push = requestTo('manifests', 'PUT', world, random)
    let spoilt: unknown = JSON.parse((push.body ?? Buffer.from('{}')).toString())
    for (let times = random.below(3); times >= 0; times -= 1) spoilt = spoil(spoilt, random)
    const type = push.headers.find(([key]) => key === 'Content-Type')?.[1] ?? OCI_MANIFEST
    return withHeader({ ...request, body: Buffer.from(JSON.stringify(spoilt)) }, 'Content-Type', type)
  },
  'spoilt bytes': (request, random, world) => {
    const bytes = Buffer.from(request.body ?? requestTo('manifests', 'PUT', world, random).body ?? 'x')
    for (let times = 0; times < 3 && bytes.length > 0; times += 1) bytes[random.below(bytes.length)] = random.below(256)
    return { ...request, body: random.below(3) === 0 ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes }
  },
  'a body that nobody wants': (request, random) => ({ ...request, body: Buffer.alloc(random.pick([1, 100, 70_000, 1_100_000])) }),
  'other credentials': (request, random) =>
    // A wrong password costs a verification, so there are few.
    withHeader(request, 'Authorization', random.below(40) === 0 ? `Basic ${Buffer.from(`${random.pick(['tried', 'nobody'])}:${random.pick(ODD_TEXTS)}`).toString('base64')}` : random.pick(['', 'Basic', 'Basic x', 'Bearer x', 'Basic ====', '\u00ff', 'Negotiate'])),
  'odd headers': (request, random) =>
    withHeader(
      request,
      random.pick(['X-Forwarded-For', 'Forwarded', 'User-Agent', 'Host', 'X-Request-Id', 'Docker-Upload-UUID', 'Accept-Encoding', 'X-HTTP-Method-Override', 'Origin', 'TE', 'Upgrade', 'Cookie', 'Expect', '__proto__']),
      random.pick(ODD_TEXTS) || 'x',
    ),
  'line breaks in the path': (request, random) => ({
    ...request,
    path: replacePart(request.path, 1 + random.below(request.path.split('/').length - 1), `${random.pick(['', 'a', NONE])}${random.pick(LINE_BREAKS)}`),
  }),
  'line breaks in a parameter': (request, random) => ({
    ...request,
    query: [...request.query, `${random.pick(['n', 'last', 'digest', 'mount', 'from', 'tag', 'digest-algorithm', 'artifactType', 'x'])}=${random.pick(['', 'a', NONE, '1'])}${random.pick(LINE_BREAKS)}`],
  }),
  'escapes in the path': (request, random) => ({ ...request, path: escaped(request.path, random) }),
  'another target': (request, random) => ({
    ...request,
    path: random.pick([`http://x${request.path}`, `HTTPS://u:p@h:1${request.path}`, `/${request.path}`, `${request.path}/`, '/healthz', '/readyz', '/metrics', '/service/token', '/api/v1/x', '*', '/v2', '/', `http://${request.path}`, `/v2/..${request.path}`]),
  }),
}
