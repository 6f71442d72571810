/** The paths that the server tells apart; `other` is what is nothing under /v2, and `nothing` elsewhere. */
export const ROUTES = [
  'base', 'catalog', 'tags', 'referrers', 'manifests', 'blobs', 'start', 'upload', 'other', 'health', 'ready', 'metrics', 'token', 'page', 'nothing',
] as const
export type Route = (typeof ROUTES)[number]

const NAME = '400 NAME_INVALID'
const DIGEST = '400 DIGEST_INVALID'
const REFERENCE = [NAME, DIGEST, '400 MANIFEST_INVALID', '404 MANIFEST_UNKNOWN'] as const
const UPLOAD = [NAME, '404 BLOB_UPLOAD_UNKNOWN'] as const
const CHUNK = ['400 BLOB_UPLOAD_INVALID', '400 SIZE_INVALID', '416 BLOB_UPLOAD_INVALID'] as const
const PIECES = ['206', '304', '416 SIZE_INVALID'] as const
const SERVICE = { GET: ['200', '304'], HEAD: ['200', '304'] } as const

/** Who may read may ask for the head alone. A head has no parts, and no code. */
const read = (...answers: readonly string[]) => ({
  GET: answers,
  HEAD: answers.map((answer) => answer.slice(0, 3)).filter((status) => status !== '206' && status !== '416'),
})

/** What each route answers to each method that it knows, to who may do all: the status, and the code of a refusal. */
export const ANSWERS: Readonly<Record<Route, Readonly<Record<string, readonly string[]>>>> = {
  base: read('200'),
  catalog: read('200', '400 UNSUPPORTED'),
  tags: read('200', '400 UNSUPPORTED', NAME, '404 NAME_UNKNOWN'),
  referrers: read('200', '400 UNSUPPORTED', NAME, DIGEST),
  manifests: {
    ...read('200', ...PIECES, ...REFERENCE),
    PUT: ['201', NAME, DIGEST, '400 MANIFEST_INVALID', '404 MANIFEST_BLOB_UNKNOWN', '413 SIZE_INVALID', '414 UNSUPPORTED'],
    DELETE: ['202', ...REFERENCE],
  },
  blobs: { ...read('200', ...PIECES, NAME, DIGEST, '404 BLOB_UNKNOWN'), DELETE: ['202', NAME, DIGEST, '404 BLOB_UNKNOWN'] },
  start: { POST: ['201', '202', NAME, DIGEST, ...CHUNK] },
  upload: { GET: ['204', ...UPLOAD], PATCH: ['202', ...UPLOAD, ...CHUNK], PUT: ['201', DIGEST, ...UPLOAD, ...CHUNK], DELETE: ['204', ...UPLOAD] },
  other: {},
  health: SERVICE,
  ready: SERVICE,
  metrics: SERVICE,
  token: { GET: ['200'], HEAD: ['200'], POST: ['200', '400 UNSUPPORTED', '401 UNAUTHORIZED', '413 SIZE_INVALID', '429 TOOMANYREQUESTS'], OPTIONS: ['200'] },
  page: { GET: ['200'], HEAD: ['200'], OPTIONS: ['200'] },
  nothing: {},
}

const PATTERNS: readonly (readonly [RegExp, Route])[] = [
  [/^\/v2\/?$/, 'base'],
  [/^\/v2\/_catalog$/, 'catalog'],
  [/^\/v2\/.+\/manifests\/[^/]+$/, 'manifests'],
  [/^\/v2\/.+\/blobs\/uploads\/?$/, 'start'],
  [/^\/v2\/.+\/blobs\/uploads\/[^/]+$/, 'upload'],
  [/^\/v2\/.+\/blobs\/[^/]+$/, 'blobs'],
  [/^\/v2\/.+\/tags\/list$/, 'tags'],
  [/^\/v2\/.+\/referrers\/[^/]+$/, 'referrers'],
  [/^\/v2\//, 'other'],
  [/^\/healthz(#.*)?$/, 'health'],
  [/^\/readyz(#.*)?$/, 'ready'],
  [/^\/metrics(#.*)?$/, 'metrics'],
  [/^\/service\/token\/?(#.*)?$/, 'token'],
  // Node's client asks for the root where the path is empty.
  [/^(\/{1,2}(#.*)?)?$/, 'page'],
]

/** The path that a request's target asks for: a whole URL is one, too. */
export function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?]*/i, '').split('?')[0] ?? ''
  return path.startsWith('/') || path === target ? path : `/${path}`
}

/** Which of the routes a path belongs to. */
export function routeOf(path: string): Route {
  return PATTERNS.find(([pattern]) => pattern.test(path))?.[1] ?? 'nothing'
}

/** What may be answered to who may do all. */
export function answersTo(route: Route, method: string): readonly string[] {
  const methods = ANSWERS[route]
  if (Object.hasOwn(methods, method)) return methods[method] ?? []
  if (route === 'other' || route === 'token' || route === 'page' || route === 'nothing') return ['404 NAME_UNKNOWN']
  return ['405 UNSUPPORTED']
}
