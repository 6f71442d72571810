import { Type } from '@sinclair/typebox'
import { usersAggregate } from '../../commands/user/aggregate.ts'
import { parseDigest } from '../../oci/digest.ts'
import { parseRepositoryName, parseTag, splitRepositoryName } from '../../oci/names.ts'
import { boundOf } from '../../ports/bound.ts'
import { repositoryKey } from '../../ports/streams.ts'
import { AUDIT_CODES } from '../../projections/audit.ts'
import { auditDocument, auditLines } from '../../projections/audit-documents.ts'
import { auditCursor } from '../../projections/audit-queries.ts'
import type { AuditCursor, AuditFilter } from '../../projections/audit-queries.ts'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import { readsWholeTrail } from '../management/audit-logs.ts'
import { carryOut } from '../management/carry-out.ts'
import type { Management } from '../management/management.ts'
import { Number32, line } from '../management/people.ts'
import { forbidden, noSuchProject, refusedInProject } from '../management/refusals.ts'
import { apiError, done, forWantOf, route } from '../management/route.ts'
import type { ApiError, Asked, Route } from '../management/route.ts'
import { pageLink } from '../reply.ts'
import { recordable } from './recordable.ts'

const LINES = 'application/x-ndjson'
const MAX_PAGE = 10_000
const LIST = { resource: 'log', action: 'list' }
const UPDATE = { resource: 'user', action: 'update' }

const Query = Type.Object({
  project: Type.Optional(line(255)),
  actor: Type.Optional(Type.String({ ...line(255, 1), description: 'A name or an id.' })),
  action: Type.Optional(Type.Union(AUDIT_CODES.map((code) => Type.Literal(code)))),
  repository: Type.Optional(line(255)),
  tag: Type.Optional(line(128)),
  digest: Type.Optional(line(200)),
  since: Type.Optional(Type.String({ ...line(64), description: 'A time (RFC 3339) or a position; included.' })),
  until: Type.Optional(Type.String({ ...line(64), description: 'A time (RFC 3339) or a position; included.' })),
  after: Type.Optional(Type.String({ ...line(64), description: 'The `next` of the page before, or the cursor of an entry.' })),
  limit: Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: 100 }),
})

type Sought = {
  readonly project?: string; readonly actor?: string; readonly action?: string; readonly repository?: string; readonly tag?: string
  readonly digest?: string; readonly since?: string; readonly until?: string; readonly after?: string; readonly limit: number
}

const Entry = Type.Object({
  cursor: Type.String({ description: 'From where a later reading goes on: its `after`.' }),
  time: Type.String({ format: 'date-time' }),
  action: Type.String(),
  repository: Type.Optional(Type.String()),
  tag: Type.Optional(Type.String()),
  digest: Type.Optional(Type.String()),
  parameters: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'What else there is to say of what was done; of no pull.' })),
  artifact: Type.Optional(Type.String({ description: 'Of a pull, as the four after it: manifest or blob.' })),
  reference: Type.Optional(Type.String({ description: 'As asked: a tag, or the digest.' })),
  method: Type.Optional(Type.String()),
  status: Type.Optional(Type.Integer()),
  range: Type.Optional(Type.String({ description: 'The bytes, where it was not all of it.' })),
  who: Type.Object({ kind: Type.String(), id: Type.String(), name: Type.Optional(Type.String()) }),
  address: Type.Optional(Type.String()),
  userAgent: Type.Optional(Type.String()),
  requestId: Type.Optional(Type.String()),
})

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/audit',
    summary: `The trail: who did what, when, from where. With \`Accept: ${LINES}\` a line an entry. For auditors and administrators; with a project or repository, for its auditors and administrators too.`,
    tag: 'audit',
    // Whose trail it is decides what it takes, and that is looked at below.
    needs: 'identified',
    query: Query,
    answers: { 200: Type.Object({ entries: Type.Array(Entry), through: Type.Optional(Type.String()), next: Type.Optional(Type.String()) }) },
    async handle(management, asked, { query }) {
      const { trail, access } = management
      const project = await projectAsked(management, asked, query)
      if (project !== undefined && 'refused' in project) return project
      const filter = await filterOf(management, query, project)
      if ('refused' in filter) return filter
      const after = query.after === undefined ? undefined : await cursorOf(management, query.after)
      if (after !== undefined && 'refused' in after) return after
      const end = await trail.end()
      const found = end === undefined ? [] : await trail.page(filter, { after, end, limit: query.limit + 1 })
      const page = found.slice(0, query.limit)
      const last = page.at(-1)
      const next = found.length > page.length && last !== undefined ? auditCursor(last) : undefined
      const exported = asked.request.headers.accept?.includes(LINES) === true
      await access.record({ what: 'reading', of: 'trail', asked: recordable(query), exported, caller: asked.caller, requestId: asked.requestId })
      if (exported) return { status: 200, body: auditLines(page), headers: { 'Content-Type': LINES, ...(next === undefined ? {} : { Link: pageLink(asked.url, { after: next }) }) } }
      return { status: 200, body: { entries: page.map(auditDocument), through: end, next } }
    },
  }),

  route({
    method: 'put',
    path: '/users/{user_id}/auditor',
    summary: 'Makes a user an auditor of the registry, or one no more. For administrators.',
    tag: 'audit',
    needs: { system: UPDATE },
    params: Type.Object({ user_id: Number32 }),
    body: Type.Object({ auditor: Type.Boolean() }, { additionalProperties: false }),
    answers: { 200: undefined },
    async handle(management, asked, { params, body: { auditor } }) {
      // Else a robot that may update users could give what it has not.
      if (asked.subject.kind !== 'user' || !asked.subject.administrator) return forWantOf(UPDATE, forbidden)
      const user = await management.queries().userByNumber(params.user_id)
      if (user === undefined) return apiError(404, 'NOT_FOUND', 'there is no such user')
      return done(await carryOut(management, asked, usersAggregate(management.decisionRows, management.sealer), { type: 'SetAuditor', user: user.id, auditor }))
    },
  }),
]

/** The project that is asked about, undefined for the whole trail; refused where its trail is not the caller's to read. */
async function projectAsked(management: Management, asked: Asked, { project, repository }: Sought): Promise<ProjectRow | undefined | ApiError> {
  const named = project ?? nameOf(repository)
  const found = named === undefined ? undefined : await management.identity.project(named)
  if (readsWholeTrail(asked.subject)) return named === undefined ? undefined : (found ?? noSuchProject)
  return (named === undefined ? forWantOf(LIST, forbidden) : refusedInProject(asked.subject, found, LIST)) ?? found
}

function nameOf(repository: string | undefined): string | undefined {
  const name = repository === undefined ? undefined : parseRepositoryName(repository)
  return name && splitRepositoryName(name).project
}

async function filterOf(management: Management, query: Sought, project: ProjectRow | undefined): Promise<AuditFilter | ApiError> {
  const tag = query.tag === undefined ? undefined : parseTag(query.tag)
  if (query.tag !== undefined && tag === undefined) return wrong('tag is no tag')
  const digest = query.digest === undefined ? undefined : parseDigest(query.digest)
  if (query.digest !== undefined && digest === undefined) return wrong('digest is no digest, such as sha256:<64 lower-case hex digits>')
  const name = query.repository === undefined ? undefined : parseRepositoryName(query.repository)
  if (query.repository !== undefined && name === undefined) return wrong("repository is no repository's name, such as team/app")
  if (name !== undefined && splitRepositoryName(name).project !== project?.name) return wrong('the repository is of another project')
  const since = query.since === undefined ? undefined : await boundOf(management.log, query.since)
  if (since !== undefined && 'refused' in since) return wrong(`since: ${since.reason}`)
  const until = query.until === undefined ? undefined : await boundOf(management.log, query.until)
  if (until !== undefined && 'refused' in until) return wrong(`until: ${until.reason}`)
  return {
    ...(query.actor === undefined ? {} : { actor: query.actor }),
    ...(query.action === undefined ? {} : { action: query.action }),
    ...(name === undefined || project === undefined ? {} : { repository: repositoryKey(project.id, splitRepositoryName(name).path) }),
    ...(project === undefined ? {} : { project: project.id }),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
    ...(since === undefined ? {} : { since: since.at }),
    ...(until === undefined ? {} : { until: until.at }),
  }
}

/** `<position>`, or `<position>.<index>`. */
async function cursorOf({ log }: Management, text: string): Promise<AuditCursor | ApiError> {
  const [, position = '', index = '0'] = /^([a-z0-9]{8}-[0-9]{1,19})(?:\.([0-9]{1,9}))?$/.exec(text) ?? []
  if (position === '') return wrong('after is the cursor of an entry')
  const resolved = await log.resolve(position)
  return resolved.status === 'resolved' ? { position: resolved.position, index: Number(index) } : wrong(`after: ${resolved.reason}`)
}

function wrong(message: string): ApiError {
  return apiError(400, 'BAD_REQUEST', message)
}
