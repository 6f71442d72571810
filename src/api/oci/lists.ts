import type { Digest } from '../../oci/digest.ts'
import { isRefusal, refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import { OCI_IMAGE_INDEX } from '../../oci/media-types.ts'
import { mayInProject } from '../../commands/access/rights.ts'
import type { Subject } from '../../commands/access/rights.ts'
import { covers } from '../../identity/tokens/scope.ts'
import { projectsInReach } from '../reach.ts'
import { noteRefusal } from '../refusals.ts'
import type { Registry } from '../registry.ts'
import { admit } from './admit.ts'
import { CATALOG, unauthorized } from './challenge.ts'
import { json, pageLink } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { Exchange, RepositoryExchange } from './exchange.ts'

const PAGE = 1_000
const MAX_PAGE = 10_000

/** `n` of a list: how many at most. */
function pageSize(query: URLSearchParams, usual: number): number | Refusal {
  const text = query.get('n')
  if (text === null) return usual
  if (!/^\d+$/.test(text)) return refusal('UNSUPPORTED', 'n must be a number, 0 or more', { status: 400 })
  return Math.min(Number(text), MAX_PAGE)
}

/**
 * Where the page before ended. No name holds U+0000, and Postgres takes no text that does: what comes after `a\u0000b` is what comes
 * after `a`.
 */
function lastOf(query: URLSearchParams): string {
  const [last = ''] = (query.get('last') ?? '').split('\u0000')
  return last
}

/** `GET /v2/<name>/tags/list` (end-8): in the order of their bytes. */
export async function listTags(registry: Registry, exchange: RepositoryExchange): Promise<Reply | Refusal> {
  const { name, query } = exchange
  const size = pageSize(query, PAGE)
  if (isRefusal(size)) return size
  const unknown = refusal('NAME_UNKNOWN', `there is no repository ${name}`)
  const admitted = await admit(registry, exchange, 'pull', undefined, unknown)
  if (isRefusal(admitted)) return admitted
  const { key } = admitted
  if (!(await registry.queries().repositoryExists(key))) return unknown
  if (size === 0) return json(200, { name, tags: [] })
  const found = await registry.queries().tagNames(key, lastOf(query), size + 1)
  const tags = found.slice(0, size)
  const last = tags.at(-1)
  const link = found.length > size && last !== undefined ? { Link: pageLink(`/v2/${name}/tags/list`, { n: String(size), last }) } : {}
  return json(200, { name, tags }, link)
}

/** `GET /v2/_catalog`: the repositories that hold something and that the caller may see. */
export async function listRepositories(registry: Registry, exchange: Exchange): Promise<Reply | Refusal> {
  const { query, subject, scope } = exchange
  const size = pageSize(query, PAGE)
  if (isRefusal(size)) return size
  if (subject.kind === 'anonymous') return unauthorized(registry, { needed: CATALOG })
  if (scope !== undefined && !CATALOG.every((needed) => covers(scope, needed))) {
    noteRefusal(registry, exchange, { reason: 'scope', action: 'catalog' })
    return unauthorized(registry, { needed: CATALOG, error: 'insufficient_scope' })
  }
  if (size === 0) return json(200, { repositories: [] })
  const projects = await projectsListedFor(registry, subject)
  const [project = '', ...path] = lastOf(query).split('/')
  const found = await registry.queries().repositoryNames(project, path.join('/'), size + 1, projects)
  const page = found.slice(0, size)
  const last = page.at(-1)?.name
  const link = found.length > size && last !== undefined ? { Link: pageLink('/v2/_catalog', { n: String(size), last }) } : {}
  return json(200, { repositories: page.map(({ name }) => name) }, link)
}

/** The ids of the projects whose repositories somebody may list; undefined: all. */
async function projectsListedFor(registry: Registry, subject: Subject): Promise<string[] | undefined> {
  if (subject.kind === 'user' && subject.administrator) return undefined
  const inReach = await projectsInReach(registry.queries(), subject)
  return inReach.filter((project) => mayInProject(subject, project, { resource: 'repository', action: 'list' })).map(({ id }) => id)
}

/** `GET /v2/<name>/referrers/<digest>` (end-12): an index of what names the digest as its subject; empty rather than 404. */
export async function listReferrers(registry: Registry, exchange: RepositoryExchange, digest: Digest): Promise<Reply | Refusal> {
  const { name, query } = exchange
  const size = pageSize(query, PAGE)
  if (isRefusal(size)) return size
  const artifactType = query.get('artifactType') ?? undefined
  const hidden = refusal('NAME_UNKNOWN')
  const admitted = await admit(registry, exchange, 'pull', digest, hidden)
  if (isRefusal(admitted) && admitted !== hidden) return admitted
  const possible = size > 0 && artifactType?.includes('\u0000') !== true
  const found = !isRefusal(admitted) && possible ? await registry.queries().referrers(admitted.key, digest, artifactType, lastOf(query), size + 1) : []
  const page = found.slice(0, size)
  const last = page.at(-1)?.digest
  const filter = artifactType === undefined ? {} : { artifactType }
  const link = found.length > size && last !== undefined ? { Link: pageLink(`/v2/${name}/referrers/${digest}`, { ...filter, n: String(size), last }) } : {}
  const manifests = page.map((each) => ({
    mediaType: each.mediaType,
    digest: each.digest,
    size: each.sizeBytes,
    ...(each.artifactType === undefined ? {} : { artifactType: each.artifactType }),
    ...(each.annotations === undefined ? {} : { annotations: each.annotations }),
  }))
  return json(
    200,
    { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests },
    { 'Content-Type': OCI_IMAGE_INDEX, ...link, ...(artifactType === undefined ? {} : { 'OCI-Filters-Applied': 'artifactType' }) },
  )
}
