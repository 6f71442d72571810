import { createHash } from 'node:crypto'
import { isCatalog, isErrorDocument, isReferrers, isTagList, parsed } from '../support/documents.ts'
import { codeIn, problemWith } from '../support/wire.ts'
import type { Answer } from '../support/wire.ts'
import { ANSWERS, answersTo, pathOf, routeOf } from './answers.ts'
import type { Route } from './answers.ts'
import { METHODS, NARROW, targetOf } from './requests.ts'
import type { Request, World } from './requests.ts'

/** Every header that Varve answers with: one that is not here was put in by the request. */
const HEADERS: ReadonlySet<string> = new Set([
  'accept-ranges', 'allow', 'cache-control', 'connection', 'content-length', 'content-range', 'content-type', 'date', 'content-security-policy', 'docker-content-digest', 'docker-distribution-api-version', 'docker-upload-uuid',
  'etag', 'keep-alive', 'link', 'location', 'oci-filters-applied', 'oci-subject', 'oci-tag', 'range', 'referrer-policy', 'retry-after', 'varve-position', 'www-authenticate', 'x-content-type-options', 'x-request-id',
])
const MAX_HEAD_BYTES = 80 * 1024

/** Whether an answer comes from what reads HTTP, before anybody looked at what is asked. */
export const isUnreadable = ({ status, headers }: Pick<Answer, 'status' | 'headers'>): boolean =>
  [400, 408, 413, 431].includes(status) && headers['docker-distribution-api-version'] === undefined && headers.connection === 'close'

/** Whether a request is one that every reader of HTTP/1.1 takes. */
export function isPlain(request: Request): boolean {
  const { method, headers } = request
  const size = targetOf(request).length + headers.reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  const readable = headers.every(([key, value]) => /^[\w-]+$/.test(key) && !/[\0-\x08\x0a-\x1f\x7f]/.test(value))
  return METHODS.some((each) => each === method) && /^(?:https?:\/\/[^/]|\/)[\x21-\x7e]*$/i.test(targetOf(request)) && readable && size < MAX_HEAD_BYTES - 1_024
}

/** What is wrong with an answer, whatever was asked; undefined: nothing. */
export function formProblem(method: string, answer: Answer): string | undefined {
  const injected = Object.keys(answer.headers).find((header) => !HEADERS.has(header))
  return injected === undefined ? problemWith(method, answer) : `an injected header: ${injected}`
}

/** What is wrong with an answer to just this request; undefined: nothing. */
export function problemOf(request: Request, answer: Answer, world: World): string | undefined {
  const form = formProblem(request.method, answer)
  if (form !== undefined) return form
  if (isUnreadable(answer)) return isPlain(request) ? `${answer.status}: it was not even read` : undefined
  const path = pathOf(targetOf(request))
  const route = routeOf(path)
  const { method } = request
  const said = method === 'HEAD' || answer.status < 400 ? String(answer.status) : `${answer.status} ${codeIn(answer.body) ?? ''}`
  const allowed = allowedTo(request, route, path, world)
  if (!allowed.some((each) => each === said || (method === 'HEAD' && each.startsWith(said)))) return `${said} to ${method} ${route}, which answers ${allowed.join(', ')}`
  if (answer.status === 405 && answer.headers.allow !== Object.keys(ANSWERS[route]).join(', ')) return `Allow: ${String(answer.headers.allow)}`
  return strangerIn(route, path, request, answer)
}

const REFUSED = '401 UNAUTHORIZED'
const WAIT = '429 TOOMANYREQUESTS'

/** What may be answered to whoever the request says that asks. */
function allowedTo(request: Request, route: Route, path: string, world: World): readonly string[] {
  const { headers, method } = request
  const usual = answersTo(route, method)
  const said = headers.find(([key]) => key.toLowerCase() === 'authorization')?.[1].trim() ?? ''
  if (route === 'metrics') return said === `Bearer ${world.metricsToken}` || !['GET', 'HEAD'].includes(method) ? usual : [REFUSED]
  if (['health', 'ready', 'page', 'nothing'].includes(route)) return usual
  const isNobody = !headers.some(([key]) => key.toLowerCase() === 'authorization')
  // Which paths and methods there are is told to nobody, too.
  if (isNobody && !Object.hasOwn(ANSWERS[route], method)) return usual
  if (route === 'token' && (isNobody || !['GET', 'HEAD'].includes(method))) return usual
  if (/^bearer /i.test(said)) {
    const token = [world.wide, world.narrow].find((each) => each === said.replace(/^bearer +/i, 'Bearer '))
    return token === undefined || route === 'token' ? [REFUSED] : withToken(request, route, path, token === world.wide ? world.scoped : [NARROW], token === world.wide, usual)
  }
  const secret = (text: string): string => Buffer.from(text.slice('Basic '.length), 'base64').toString()
  if (!/^basic /i.test(said)) return [REFUSED]
  if (secret(said) === secret(world.authorization)) return usual
  // Guesses are made at one account, which must wait now and then.
  return secret(said) === secret(world.tried) ? [...usual, WAIT] : [REFUSED, WAIT]
}

/** `all`: the token is for everything in the repositories, and for their list; else it is for pulls. */
function withToken({ method, query }: Request, route: Route, path: string, names: readonly string[], all: boolean, usual: readonly string[]): readonly string[] {
  const [, name = ''] = /^\/v2\/(.+)\/(?:manifests|blobs\/uploads|blobs|referrers|tags)(?:\/|$)/.exec(path) ?? []
  const covered = route === 'base' || (route === 'catalog' ? all : names.includes(name) && (all || ['GET', 'HEAD'].includes(method)) && (all || route !== 'upload'))
  // A mount needs a pull of its source.
  if (covered) return query.some((each) => each.startsWith('from=')) ? [...usual, REFUSED] : usual
  return [...usual.filter((each) => each >= '400'), REFUSED]
}

/** What in an answer belongs to another request. */
function strangerIn(route: Route, path: string, { method }: Request, { status, headers, body }: Answer): string | undefined {
  const [, name = '', last = ''] = /^\/v2\/(.+)\/(?:manifests|blobs\/uploads|blobs|referrers|tags)\/([^/]*)$/.exec(path) ?? []
  const digest = headers['docker-content-digest']
  if (headers.location !== undefined && !headers.location.startsWith(`/v2/${name}/`)) return `the Location ${headers.location} of another repository`
  if (digest !== undefined && last.includes(':') && digest !== last) return `the digest ${String(digest)} of other content`
  if (route === 'upload' && headers['docker-upload-uuid'] !== undefined && headers['docker-upload-uuid'] !== last) return 'another upload'
  if (method === 'HEAD') return undefined
  if (status >= 400) return strangerInError(name, parsed(body))
  if (status === 200 && typeof digest === 'string' && digest !== digestOf(digest, body)) return 'bytes that are not those of the digest'
  if (status === 206 && Number(headers['content-length']) !== rangeLength(headers['content-range'])) return `Content-Range ${String(headers['content-range'])}`
  return status === 200 && !isListOf(route, name, parsed(body)) ? `no answer of ${route}: ${body.toString().slice(0, 200)}` : undefined
}

function strangerInError(name: string, document: unknown): string | undefined {
  if (!isErrorDocument(document)) return 'no error document'
  const said = /(?:unknown to|there is no) repository (\S+)$/.exec(document.errors[0].message)?.[1]
  return said === undefined || said === name ? undefined : `an error about ${said}`
}

function isListOf(route: Route, name: string, document: unknown): boolean {
  if (route === 'tags') return isTagList(document) && document.name === name
  if (route === 'catalog') return isCatalog(document)
  return route !== 'referrers' || isReferrers(document)
}

const digestOf = (like: string, body: Buffer): string => {
  const algorithm = like.startsWith('sha512:') ? 'sha512' : 'sha256'
  return `${algorithm}:${createHash(algorithm).update(body).digest('hex')}`
}

function rangeLength(header: string | undefined): number {
  const [, first, last] = /^bytes (\d+)-(\d+)\/\d+$/.exec(header ?? '') ?? []
  return Number(last) - Number(first) + 1
}
