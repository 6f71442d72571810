import { parseDigest } from '../../oci/digest.ts'
import { isRefusal, refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import { parseReference, parseRepositoryName } from '../../oci/names.ts'
import { parseUploadId } from '../../ports/blob-store.ts'
import { noteRefusal } from '../refusals.ts'
import type { Registry } from '../registry.ts'
import type { RequestHead } from '../request-head.ts'
import type { Identify } from '../requester.ts'
import { isUnavailable } from '../unavailable.ts'
import { getBlob, getManifest } from './content.ts'
import { notLetIn, unauthorized } from './challenge.ts'
import { json } from '../reply.ts'
import { notAllowed, refused } from './exchange.ts'
import type { Reply } from '../reply.ts'
import type { Exchange, RepositoryExchange } from './exchange.ts'
import { listReferrers, listRepositories, listTags } from './lists.ts'
import { deleteBlob, deleteManifest, putManifest } from './manifests.ts'
import { cancelUpload, getUpload, patchUpload, putUpload, startUpload } from './uploads.ts'

const MANIFEST = /\/manifests\/[^/]+$/

/** Nobody adds to it. */
const NO_QUERY = new URLSearchParams()

type Answer = Promise<Reply | Refusal> | Reply | Refusal
type Methods = Readonly<Record<string, (registry: Registry, exchange: RepositoryExchange, last: string) => Answer>>
type Route = { readonly pattern: RegExp; readonly methods: Methods }

const onReference =
  (act: (registry: Registry, exchange: RepositoryExchange, reference: NonNullable<ReturnType<typeof parseReference>>) => Answer) =>
  (registry: Registry, exchange: RepositoryExchange, text: string): Answer => {
    const reference = parseReference(text)
    if (reference !== undefined) return act(registry, exchange, reference)
    return text.includes(':') ? refusal('DIGEST_INVALID') : refusal('MANIFEST_INVALID', 'the reference is neither a tag nor a digest')
  }

const onDigest =
  (act: (registry: Registry, exchange: RepositoryExchange, digest: NonNullable<ReturnType<typeof parseDigest>>) => Answer) =>
  (registry: Registry, exchange: RepositoryExchange, text: string): Answer => {
    const digest = parseDigest(text)
    return digest === undefined ? refusal('DIGEST_INVALID') : act(registry, exchange, digest)
  }

const onUpload =
  (act: (registry: Registry, exchange: RepositoryExchange, id: NonNullable<ReturnType<typeof parseUploadId>>) => Answer) =>
  (registry: Registry, exchange: RepositoryExchange, text: string): Answer => {
    const id = parseUploadId(text)
    return id === undefined ? refusal('BLOB_UPLOAD_UNKNOWN') : act(registry, exchange, id)
  }

/** The routes of /v2 that name a repository, which is the first group; the second is what the last part says. First match wins. */
export const repositoryRoutes: readonly Route[] = [
  {
    pattern: /^\/v2\/(.+)\/manifests\/([^/]+)$/,
    methods: { GET: onReference(getManifest), HEAD: onReference(getManifest), PUT: onReference(putManifest), DELETE: onReference(deleteManifest) },
  },
  { pattern: /^\/v2\/(.+)\/blobs\/uploads\/?()$/, methods: { POST: startUpload } },
  {
    pattern: /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/,
    methods: { GET: onUpload(getUpload), PATCH: onUpload(patchUpload), PUT: onUpload(putUpload), DELETE: onUpload(cancelUpload) },
  },
  {
    pattern: /^\/v2\/(.+)\/blobs\/([^/]+)$/,
    methods: { GET: onDigest(getBlob), HEAD: onDigest(getBlob), DELETE: onDigest(deleteBlob) },
  },
  { pattern: /^\/v2\/(.+)\/tags\/list()$/, methods: { GET: listTags, HEAD: listTags } },
  { pattern: /^\/v2\/(.+)\/referrers\/([^/]+)$/, methods: { GET: onDigest(listReferrers), HEAD: onDigest(listReferrers) } },
]

/** What answers a path. */
function answererOf(path: string): (registry: Registry, exchange: Exchange) => Answer {
  if (path === '/v2/' || path === '/v2') return (registry, exchange) => (isRead(exchange.request) ? ping(registry, exchange) : notAllowed())
  if (path === '/v2/_catalog') return (registry, exchange) => (isRead(exchange.request) ? listRepositories(registry, exchange) : notAllowed())
  for (const { pattern, methods } of repositoryRoutes) {
    const match = pattern.exec(path)
    if (match === null) continue
    const [, nameText = '', last = ''] = match
    return (registry, exchange) => {
      const act = methods[exchange.request.method ?? '']
      if (act === undefined) return notAllowed(Object.keys(methods))
      const name = parseRepositoryName(nameText)
      if (name === undefined) {
        noteRefusal(registry, exchange, { reason: 'name' })
        return refusal('NAME_INVALID', 'the repository name breaks the grammar of names')
      }
      return act(registry, { ...exchange, name }, last)
    }
  }
  return () => refusal('NAME_UNKNOWN', 'there is nothing at this path')
}

/** `GET /v2/` (end-1): where clients learn that there is a login, and whether theirs is good. */
function ping(registry: Registry, { subject, scope }: Exchange): Answer {
  return subject.kind === 'anonymous' && scope === undefined ? unauthorized(registry) : json(200, {})
}

const isRead = (request: RequestHead): boolean => request.method === 'GET' || request.method === 'HEAD'

/** A request's body. */
export type Body = {
  /**
   * Asks for it, where the client waits to be asked. Each piece is there until the next is asked for. Left open where it is not read
   * to its end: the answer goes the same way. Fails where it is not whole within so many ms.
   */
  read(withinMs?: number): AsyncIterable<Buffer>
  /** Whether an error comes of its client having left: before its end, or before anybody read it. */
  failed(error: unknown): boolean
}

/** Answers a request to /v2 by its head; never rejects. */
export type OciAnswerer = (request: RequestHead, body: Body, requestId: string) => Promise<Reply>

/** What answers everything under /v2: who asks, what is asked, the answer, and what failures say. */
export function createOciAnswerer(options: {
  readonly registry: Registry
  readonly identify: Identify
}): OciAnswerer {
  const { registry, identify } = options

  function failureReply(error: unknown, path: string, body: Body, requestId: string): Reply {
    if (body.failed(error)) return refused(refusal(MANIFEST.test(path) ? 'MANIFEST_INVALID' : 'BLOB_UPLOAD_INVALID', 'the request ended before its body'))
    if (isUnavailable(error)) {
      registry.logger.warn({ requestId, err: error }, 'a request found the log or Postgres away')
      return refused(refusal('UNAVAILABLE'))
    }
    registry.logger.error({ requestId, err: error }, 'a request failed')
    return refused(refusal('UNAVAILABLE', `the request failed; the server's log says why under ${requestId}`))
  }

  return async function answer(request, body, requestId) {
    const [path, query] = splitOnce(request.url ?? '/', '?')
    const answerer = answererOf(path)
    try {
      const requester = await identify(request, requestId)
      if ('refused' in requester) return refused(notLetIn(registry, requester))
      const exchange: Exchange = { ...requester, request, body: (withinMs) => body.read(withinMs), query: query === '' ? NO_QUERY : new URLSearchParams(query) }
      const answered = await answerer(registry, exchange)
      return isRefusal(answered) ? refused(answered) : answered
    } catch (error) {
      return failureReply(error, path, body, requestId)
    }
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator)
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)]
}
