import { Type } from '@sinclair/typebox'
import { soughtFor } from '../../commands/access/grants.ts'
import { ACTIONS, mayInProject, mayInSystem } from '../../commands/access/rights.ts'
import type { Action, Subject } from '../../commands/access/rights.ts'
import { parseRepositoryName, splitRepositoryName } from '../../oci/names.ts'
import { boundOf } from '../../ports/bound.ts'
import { folded } from '../../ports/same-name.ts'
import { parseTime } from '../../ports/time.ts'
import { reachDocument, whoDocument } from '../../projections/access-documents.ts'
import { momentOf, subjectNamed } from '../../projections/access-queries.ts'
import type { CouldHave, Moment, SubjectThen } from '../../projections/access-queries.ts'
import type { Management } from '../management/management.ts'
import { forbidden } from '../management/refusals.ts'
import { apiError, forWantOf, route } from '../management/route.ts'
import type { Answer, ApiError, Route } from '../management/route.ts'
import { recordable } from './recordable.ts'

const MAX_PAGE = 500
const READ = { resource: 'access', action: 'read' }

const Query = Type.Object({
  repository: Type.Optional(Type.String({ maxLength: 255, description: 'Who could do `action` in this repository.' })),
  action: Type.Optional(Type.Union(ACTIONS.map((action) => Type.Literal(action)), { description: 'With a user or robot alone it may be left out: all three are meant.' })),
  user: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'A name or an id: what this user could reach, or whether they could.' })),
  robot: Type.Optional(Type.String({ minLength: 1, maxLength: 600, description: 'The same of a robot, by its id or its name as it logs in.' })),
  at: Type.Optional(Type.String({ maxLength: 64, description: 'A time (RFC 3339) or a position; left out: now.' })),
  limit: Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: 100, description: 'How many subjects or projects a page holds at most.' }),
  after: Type.Optional(Type.String({ maxLength: 2_000, description: 'The `next` of the page before.' })),
})

const Since = Type.Object({
  position: Type.String(),
  time: Type.String({ format: 'date-time' }),
  stream: Type.String(),
  revision: Type.Integer(),
  event: Type.String(),
  actor: Type.Object({ kind: Type.String(), id: Type.String(), name: Type.Optional(Type.String()) }),
})

const GrantAnswer = Type.Object({
  by: Type.Union((['visibility', 'administrator', 'auditor', 'member', 'group', 'permission'] as const).map((by) => Type.Literal(by))),
  visibility: Type.Optional(Type.String()),
  role: Type.Optional(Type.String()),
  group: Type.Optional(Type.Object({ id: Type.String(), name: Type.String(), shown: Since })),
  permission: Type.Optional(Type.Object({ kind: Type.String(), project: Type.String(), access: Type.Array(Type.Object({ resource: Type.String(), action: Type.String() })) })),
  expiresAt: Type.Optional(Type.String({ format: 'date-time' })),
  actions: Type.Array(Type.String()),
  since: Since,
})

const common = {
  position: Type.String(),
  time: Type.String({ format: 'date-time' }),
  rolesVersion: Type.Union([Type.Integer(), Type.Null()]),
  next: Type.Optional(Type.String()),
}

const AccessAnswer = Type.Union([
  Type.Object({
    ...common,
    repository: Type.String(),
    project: Type.Object({ id: Type.String(), name: Type.String() }),
    action: Type.String(),
    subjects: Type.Array(
      Type.Object({
        kind: Type.Union((['anybody', 'group', 'robot', 'user'] as const).map((kind) => Type.Literal(kind))),
        id: Type.Optional(Type.String()),
        name: Type.Optional(Type.String()),
        project: Type.Optional(Type.String()),
        grants: Type.Array(GrantAnswer),
      }),
    ),
  }),
  Type.Object({
    ...common,
    subject: Type.Object({ kind: Type.String(), id: Type.String(), name: Type.Optional(Type.String()) }),
    projects: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), grants: Type.Array(GrantAnswer) })),
  }),
])

type Asked = { readonly repository?: string; readonly action?: Action; readonly user?: string; readonly robot?: string; readonly at?: string; readonly limit: number; readonly after?: string }

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/access',
    summary: 'Who could do what at a time, by which grant, and since which event.',
    tag: 'access',
    // Whom it is about decides what it takes, and that is looked at below.
    needs: 'identified',
    query: Query,
    answers: { 200: AccessAnswer },
    async handle(management, asked, { query }) {
      const { subject, caller, requestId } = asked
      const { repository, action, user, robot, after, limit } = query
      if (repository === undefined && user === undefined && robot === undefined) return wrong('name a repository, a user or a robot')
      if (user !== undefined && robot !== undefined) return wrong('name a user or a robot, not both')
      const cursor = after === undefined ? undefined : parseCursor(after)
      if (after !== undefined && cursor === undefined) return wrong('after is the next of a page')
      const moment = await momentAsked(management, query.at, cursor)
      if ('refused' in moment) return moment
      const page = { moment, after: cursor?.keys, limit }
      if (repository !== undefined && action === undefined) return wrong('say an action: pull, push or delete')
      const answer = repository === undefined || action === undefined ? await reach(management, subject, query, page) : await who(management, subject, { ...query, repository, action }, page)
      if (!('refused' in answer)) await management.access.record({ what: 'reading', of: 'access', asked: recordable(query), exported: false, caller, requestId })
      return answer
    },
  }),
]

type Page = { readonly moment: Moment; readonly after: readonly string[] | undefined; readonly limit: number }

async function who(management: Management, asker: Subject, asked: Asked & { readonly repository: string; readonly action: Action }, page: Page): Promise<Answer | ApiError> {
  const { moment, limit } = page
  const { action } = asked
  const name = parseRepositoryName(asked.repository)
  if (name === undefined) return wrong('repository is no name of a repository, such as team/app')
  const { project: projectName } = splitRepositoryName(name)
  const queries = management.queries()
  const project = await queries.projectThen(projectName, moment)
  const hidden = await mayNotAsk(management, asker, project)
  if (hidden !== undefined) return hidden
  if (project === undefined) return noProject
  const only = asked.user === undefined && asked.robot === undefined ? undefined : await subjectAsked(management, asked, moment)
  if (only !== undefined && 'refused' in only) return only
  const rolesVersion = await queries.rolesVersion(moment)
  const after = afterSubject(page.after)
  const { found, more } = await queries.whoCould(project, soughtFor([action], rolesVersion), moment, { after, limit, only })
  const last = found.at(-1)
  const next = more && last !== undefined ? cursorOf(moment, [last.kind, last.id]) : undefined
  return { status: 200, body: whoDocument({ moment, rolesVersion, next }, { repository: name, project: { id: project, name: projectName }, action }, found) }
}

async function reach(management: Management, asker: Subject, asked: Asked, page: Page): Promise<Answer | ApiError> {
  const { moment, limit } = page
  const self = ownId(asker, asked.user)
  if (self === undefined && !mayAskAll(asker)) return forWantOf(READ, forbidden)
  const subject = await subjectAsked(management, self === undefined ? asked : { ...asked, user: self }, moment)
  if ('refused' in subject) return subject
  const queries = management.queries()
  const rolesVersion = await queries.rolesVersion(moment)
  const actions = asked.action === undefined ? ACTIONS : [asked.action]
  const { found, more } = await queries.couldReach(subject, soughtFor(actions, rolesVersion), moment, { after: page.after?.[0], limit })
  const last = found.at(-1)
  const next = more && last !== undefined ? cursorOf(moment, [last.name]) : undefined
  return { status: 200, body: reachDocument({ moment, rolesVersion, next }, subject, found) }
}

function wrong(message: string): ApiError {
  return apiError(400, 'BAD_REQUEST', message)
}

/** The same whether there was none, or one that the caller may not read. */
const noProject = apiError(404, 'NOT_FOUND', 'there was no such project then')

function mayAskAll(subject: Subject): boolean {
  return mayInSystem(subject, READ)
}

/** Why somebody may not ask about a project of the past: it takes today's right on that project, whatever its name stands for now. */
async function mayNotAsk({ identity }: Management, subject: Subject, id: string | undefined): Promise<ApiError | undefined> {
  if (mayAskAll(subject)) return undefined
  const project = id === undefined ? undefined : await identity.projectById(id)
  if (project === undefined) return noProject
  if (!mayInProject(subject, project, { resource: 'project', action: 'read' })) return forWantOf(READ, noProject, project.id)
  return mayInProject(subject, project, READ) ? undefined : forWantOf(READ, forbidden, project.id)
}

/** The caller's own id, where they ask about themselves. */
function ownId(asker: Subject, user: string | undefined): string | undefined {
  if (asker.kind !== 'user' || user === undefined) return undefined
  return user.toLowerCase() === asker.id || folded(user) === folded(asker.name) ? asker.id : undefined
}

async function subjectAsked({ queries, settings }: Management, asked: Asked, moment: Moment): Promise<SubjectThen | ApiError> {
  const found = await subjectNamed(queries(), (await settings()).robot_name_prefix, asked, moment)
  if (found === 'ambiguous') return apiError(409, 'CONFLICT', 'two users of then have had this name: ask by id')
  return found === 'unknown' ? apiError(404, 'NOT_FOUND', `there was no such ${asked.user === undefined ? 'robot' : 'user'} then`) : found
}

/** The moment that is asked about, once all that had happened by now can be read. A page after the first is of the moment of the first. */
async function momentAsked({ log, queries, visible, now }: Management, at: string | undefined, cursor: Cursor | undefined): Promise<Moment | ApiError> {
  const bound = at === undefined ? { at } : await boundOf(log, at)
  if ('refused' in bound) return wrong(`at: ${bound.reason}`)
  const head = await log.head()
  if (head === undefined || !(await visible(head))) return apiError(503, 'UNAVAILABLE', 'the read models are behind: ask again')
  if (cursor !== undefined) {
    const resolved = await log.resolve(cursor.position)
    return resolved.status === 'resolved' ? { position: resolved.position, time: cursor.time } : wrong(resolved.reason)
  }
  const moment = await momentOf(log, queries(), bound.at, head, now())
  return 'refused' in moment ? wrong(`at: ${moment.reason}`) : moment
}

type Cursor = { readonly position: string; readonly time: Date; readonly keys: readonly string[] }

/** Where a page ended, and the moment that all of them are of. */
function cursorOf({ position, time }: Moment, keys: readonly string[]): string {
  return Buffer.from(JSON.stringify([position, time.toISOString(), ...keys])).toString('base64url')
}

function parseCursor(text: string): Cursor | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) return undefined
  const [position = '', timeText = '', ...keys] = parts
  const time = parseTime(timeText)
  return time === undefined || keys.length === 0 || keys.some((key) => key.includes('\0')) ? undefined : { position, time, keys }
}

function afterSubject(keys: readonly string[] | undefined): Pick<CouldHave, 'kind' | 'id'> | undefined {
  const kind = (['anybody', 'group', 'robot', 'user'] as const).find((each) => each === keys?.[0])
  return kind && { kind, id: keys?.[1] ?? '' }
}
