import type { Seeded } from '../support/random.ts'
import { OCI_INDEX, OCI_MANIFEST, imageManifest, sha256 } from '../support/registry.ts'
import type { Route } from './answers.ts'

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
  /** Of an administrator, whose password nothing but this guesses at. */
  readonly authorization: string
  /** Of another administrator, at whose password guesses are made. */
  readonly tried: string
  /** Tokens: for everything in `scoped` and the list of repositories, and for pulls from `NARROW`. */
  readonly wide: string
  readonly narrow: string
  readonly scoped: readonly string[]
  readonly metricsToken: string
  readonly names: readonly string[]
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  /** Paths of uploads that were opened, and may be over. */
  readonly uploads: readonly string[]
  /** Paths of manifests and blobs in `KEPT`, the last of them longer than what fits on the way between two sockets. */
  readonly kept: readonly string[]
}

export const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'] as const
export type Method = (typeof METHODS)[number]

/** A repository that no request changes, so that the same question gets the same answer. */
export const KEPT = 'kept/a'
/** The one that the narrow token is for. */
export const NARROW = 'fuzz/a'
export const NONE = `sha256:${'0'.repeat(64)}`
/** One that no request makes. */
const ABSENT = 'kept/none'
const NO_UPLOAD = '00000000-0000-4000-8000-000000000000'

type Maker = (world: World, random: Seeded) => Partial<Request> & Pick<Request, 'path'>

const name = (world: World, random: Seeded): string => `/v2/${random.pick(world.names)}`

const PATHS: Readonly<Record<Route, Maker>> = {
  base: (_, random) => ({ path: random.pick(['/v2/', '/v2']) }),
  catalog: (_, random) => ({ path: '/v2/_catalog', query: [`n=${random.below(5)}`] }),
  tags: (world, random) => ({ path: `${name(world, random)}/tags/list`, query: [`n=${random.below(5)}`, `last=${random.pick(world.tags)}`] }),
  referrers: (world, random) => ({ path: `${name(world, random)}/referrers/${random.pick(world.digests)}` }),
  manifests: (world, random) => ({ path: `${name(world, random)}/manifests/${random.pick(random.below(2) === 0 ? world.tags : world.digests)}` }),
  blobs: (world, random) => ({ path: `${name(world, random)}/blobs/${random.pick(world.digests)}` }),
  start: (world, random) => ({ path: `${name(world, random)}/blobs/uploads/` }),
  upload: (world, random) => ({ path: random.pick(world.uploads) }),
  other: (_, random) => ({ path: random.pick(['/v2/other', '/v2/fuzz/a/tags', '/v2/fuzz/a/manifests/', '/v2/fuzz/a/blobs', '/v2/token', '/v2/fuzz/a/manifests/v1/v2']) }),
  health: () => ({ path: '/healthz' }),
  ready: () => ({ path: '/readyz' }),
  metrics: (world) => ({ path: '/metrics', headers: [['Authorization', `Bearer ${world.metricsToken}`]] }),
  token: (world, random) => ({
    path: '/service/token',
    query: ['service=varve', `scope=${random.pick(['registry:catalog:*', `repository:${random.pick(world.names)}:${random.pick(['*', 'pull', 'pull,push'])}`])}`].slice(random.below(3)),
  }),
  page: () => ({ path: '/' }),
  nothing: (_, random) => ({ path: random.pick(['/nothing', '/api/v1/projects', '/service', '/v1/', '/v2x', '/favicon.ico']) }),
}

/** What a request of a route and a method has beside the path, where it should go well. */
const MORE: Readonly<Record<string, readonly Maker[]>> = {
  'token POST': [tokenForm],
  'manifests PUT': [manifestPush],
  'start POST': [
    PATHS.start,
    blobPush,
    (world, random) => ({ ...PATHS.start(world, random), query: [`mount=${random.pick(world.digests)}`, `from=${random.pick(world.names)}`] }),
  ],
  'upload PATCH': [(world, random) => ({ ...PATHS.upload(world, random), body: random.bytes(random.below(100)) })],
  'upload PUT': [(world, random) => {
    const body = random.bytes(random.below(100))
    return { ...PATHS.upload(world, random), query: [`digest=${random.below(2) === 0 ? sha256(body) : random.pick(world.digests)}`], body }
  }],
}

/** A request that is as it should be, but that its route may not know its method. */
export function requestTo(route: Route, method: Method, world: World, random: Seeded): Request {
  const made = random.pick(MORE[`${route} ${method}`] ?? [PATHS[route]])(world, random)
  const who = random.below(6) > 0 ? world.authorization : random.pick([world.wide, world.wide, world.narrow])
  return { method, query: [], headers: [['Authorization', who]], body: undefined, ...made }
}

/** A request whose answer is the same whenever it is asked: of what nobody changes, or one that is refused. */
export function steadyRequest(route: Route, method: Method, world: World, random: Seeded): Request {
  const read = method === 'GET' || method === 'HEAD'
  const kept = (kind: string): string => random.pick(world.kept.slice(0, -1).filter((path) => path.includes(kind)))
  const steady: Partial<Record<Route, Maker>> = {
    catalog: () => ({ path: '/v2/_catalog', query: [random.pick(['n=0', 'n=x', 'n=-1'])] }),
    tags: () => ({ path: `/v2/${random.pick([KEPT, ABSENT, 'NO'])}/tags/list` }),
    referrers: () => ({ path: `/v2/${KEPT}/referrers/${random.pick([NONE, 'sha256:x', ...world.digests])}` }),
    manifests: () => ({ path: read ? random.pick([kept('/manifests/'), `/v2/${KEPT}/manifests/none`]) : `/v2/${ABSENT}/manifests/${NONE}`, body: method === 'PUT' ? Buffer.from('{') : undefined }),
    blobs: () => ({ path: read ? random.pick([kept('/blobs/'), `/v2/${KEPT}/blobs/${NONE}`]) : `/v2/${ABSENT}/blobs/${NONE}` }),
    start: () => ({ path: `/v2/${KEPT}/blobs/uploads/`, query: ['digest=x'] }),
    upload: () => ({ path: `/v2/${KEPT}/blobs/uploads/${NO_UPLOAD}`, query: [`digest=${NONE}`], body: method === 'PATCH' ? Buffer.from('abc') : undefined }),
    metrics: () => ({ path: '/metrics' }),
    // A token that is given is another each time.
    token: () => ({ path: '/service/token', headers: [['Authorization', world.narrow]] }),
  }
  const made = (steady[route] ?? PATHS[route])(world, random)
  const digest = made.path.split(/[/:]/).at(-1)
  const condition = random.pick<Request['headers']>([
    [], [], [], [['Range', random.pick(['bytes=0-0', 'bytes=5-', 'bytes=-7', 'bytes=9-3', 'bytes=0-1,3-4', 'bytes=999999999-'])]], [['If-None-Match', random.pick(['*', '"x"', `"sha256:${digest ?? ''}"`, `W/"sha256:${digest ?? ''}"`])]],
    [['If-Range', random.pick(['"x"', `"sha256:${digest ?? ''}"`])], ['Range', 'bytes=2-3']], [['Accept', '*/*'], ['User-Agent', 'docker/99']],
  ])
  const who = random.below(8) === 0 ? random.pick(['Basic x', 'Bearer x', '']) : world.authorization
  return { method, query: [], headers: [['Authorization', who], ...condition], body: undefined, ...made }
}

export const targetOf = ({ path, query }: Pick<Request, 'path' | 'query'>): string => (query.length === 0 ? path : `${path}?${query.join('&')}`)

export const withHeader = (request: Request, key: string, value: string): Request => ({ ...request, headers: [...request.headers.filter(([each]) => each !== key), [key, value]] })

function document(world: World, random: Seeded): object {
  const part = () => ({ digest: random.pick(world.digests), size: random.below(1_000) })
  if (random.below(3) === 0) return { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...part(), mediaType: OCI_MANIFEST, platform: { os: 'linux', architecture: 'amd64' } }] }
  const subject = random.below(2) === 0 ? { subject: { ...part(), mediaType: OCI_MANIFEST } } : {}
  return imageManifest(part(), [part(), part()], { artifactType: 'application/x.fuzz', annotations: { salt: String(random.below(20)) }, ...subject })
}

function manifestPush(world: World, random: Seeded): ReturnType<Maker> {
  const pushed = document(world, random)
  const body = Buffer.from(JSON.stringify(pushed))
  const type = 'manifests' in pushed ? OCI_INDEX : OCI_MANIFEST
  const byDigest = random.below(3) === 0
  return {
    path: `${name(world, random)}/manifests/${byDigest ? sha256(body) : random.pick(world.tags)}`,
    query: byDigest ? [`tag=${random.pick(world.tags)}`, `tag=${random.pick(world.tags)}`] : [],
    headers: [['Authorization', world.authorization], ['Content-Type', type]],
    body,
  }
}

function tokenForm(world: World, random: Seeded): ReturnType<Maker> {
  const [name = '', password = ''] = Buffer.from(world.tried.slice('Basic '.length), 'base64').toString().split(':')
  const form = new URLSearchParams({ grant_type: 'password', service: 'varve', client_id: 'fuzz', username: name, password, scope: `repository:${random.pick(world.names)}:pull` })
  return { path: '/service/token', headers: [['Content-Type', 'application/x-www-form-urlencoded']], body: Buffer.from(form.toString()) }
}

function blobPush(world: World, random: Seeded): ReturnType<Maker> {
  const body = Buffer.from(`blob ${random.below(50)}`)
  return { path: `${name(world, random)}/blobs/uploads/`, query: [`digest=${sha256(body)}`], body }
}
