import { Type } from '@sinclair/typebox'
import { mayInProject, mayInSystem } from '../../commands/access/rights.ts'
import type { Subject } from '../../commands/access/rights.ts'
import type { ACCESS_ACTIONS, ACTIONS } from '../../projections/audit.ts'
import type { ListColumns } from '../../projections/lists.ts'
import { trailColumns } from '../../projections/trail-list.ts'
import type { ListedEntry, Words } from '../../projections/trail-list.ts'
import { projectsInReach } from '../reach.ts'
import { listAsked, listParameters, pageAnswer, parseTerms } from './listing.ts'
import type { Management } from './management.ts'
import { projectOf, route } from './route.ts'
import type { Answer, ApiError, Asked, Route } from './route.ts'

type Code = (typeof ACTIONS)[keyof typeof ACTIONS] | (typeof ACCESS_ACTIONS)[number] | 'pull'

/** What each code of the trail is about, and what was done, in words like Harbor's. */
const WORDS = {
  'log.named': ['log', 'update'],
  'log.tampering-found': ['log', 'tamper'],
  'registry.created': ['registry', 'create'],
  'setting.changed': ['configuration', 'update'],
  'role-matrix.adopted': ['role', 'update'],
  'signing-key.made': ['key', 'create'],
  'verifier-key.made': ['key', 'create'],
  'user.created': ['user', 'create'],
  'user.changed': ['user', 'update'],
  'user.deleted': ['user', 'delete'],
  'user.forgotten': ['user', 'delete'],
  'administrator.granted': ['user', 'update'],
  'administrator.revoked': ['user', 'update'],
  'auditor.granted': ['user', 'update'],
  'auditor.revoked': ['user', 'update'],
  'password.changed': ['user', 'update'],
  'cli-secret.changed': ['user', 'update'],
  'user.groups-changed': ['user', 'update'],
  'group.created': ['usergroup', 'create'],
  'group.renamed': ['usergroup', 'update'],
  'group.deleted': ['usergroup', 'delete'],
  'robot.created': ['robot', 'create'],
  'robot.changed': ['robot', 'update'],
  'robot.secret-refreshed': ['robot', 'update'],
  'robot.deleted': ['robot', 'delete'],
  'project.created': ['project', 'create'],
  'project.deletion-begun': ['project', 'delete'],
  'project.deletion-stopped': ['project', 'update'],
  'project.deleted': ['project', 'delete'],
  'visibility.changed': ['project', 'update'],
  'metadata.changed': ['project', 'update'],
  'member.added': ['member', 'create'],
  'member.role-changed': ['member', 'update'],
  'member.removed': ['member', 'delete'],
  'blob.uploaded': ['blob', 'create'],
  'blob.mounted': ['blob', 'create'],
  'repository.created': ['repository', 'create'],
  push: ['artifact', 'create'],
  'tag.assigned': ['tag', 'create'],
  'tag.deleted': ['tag', 'delete'],
  'manifest.deleted': ['artifact', 'delete'],
  'blob.deleted': ['blob', 'delete'],
  login: ['user', 'login'],
  'token.issued': ['token', 'create'],
  refused: ['repository', 'access'],
  'trail.read': ['log', 'list'],
  'access.read': ['access', 'read'],
  pull: ['artifact', 'pull'],
} as const satisfies Record<Code, readonly [resourceType: string, operation: string]>

const words: ReadonlyMap<string, Words> = new Map(
  Object.entries(WORDS).map(([code, [resourceType, operation]]) => [code, { resourceType, operation }]),
)

const log = {
  id: Type.Integer(),
  username: Type.String({ description: 'Who did it, as they were called then.' }),
  resource: Type.String(),
  resource_type: Type.String(),
  operation: Type.String(),
  op_time: Type.String({ format: 'date-time' }),
}

/** A form in which entries are shown: the codes that it has, what can be asked of it, and how one looks. */
type Form = { readonly words: ReadonlyMap<string, Words>; readonly columns: ListColumns; readonly shown: (entry: ListedEntry) => object }

const { id, username, resource, resource_type, operation, op_time } = trailColumns

/** It cannot say that something failed, so what was refused is not in it. */
const SHORT: Form = {
  words: new Map([...words].filter(([code]) => code !== 'refused')),
  columns: { id, username, resource, resource_type, operation, op_time },
  shown: shortOf,
}
const EXTENDED: Form = {
  words,
  columns: trailColumns,
  shown: (entry) => ({ ...shortOf(entry), operation_description: entry.description, operation_result: entry.succeeded }),
}

const AuditLog = Type.Object(log)
const AuditLogExt = Type.Object({
  ...log,
  operation_description: Type.String({ description: "The code of the registry's own trail, and the reason of a refusal." }),
  operation_result: Type.Boolean({ description: 'False: it was refused.' }),
})

const LIST = { resource: 'log', action: 'list' }
const Query = Type.Object(listParameters)
const ProjectPath = Type.Object({ project_name: Type.String({ minLength: 1, maxLength: 255 }) })

type ListQuery = Parameters<typeof listAsked>[1]

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/projects/{project_name}/logs',
    summary: 'The trail of a project, without what was refused.',
    tag: 'project',
    needs: { project: LIST },
    params: ProjectPath,
    query: Query,
    answers: { 200: Type.Array(AuditLog) },
    handle: (management, asked, { query }) => projectAnswer(management, asked, query, SHORT),
  }),
  route({
    method: 'get',
    path: '/projects/{project_name}/auditlog-exts',
    summary: 'The trail of a project.',
    tag: 'project',
    needs: { project: LIST },
    params: ProjectPath,
    query: Query,
    answers: { 200: Type.Array(AuditLogExt) },
    handle: (management, asked, { query }) => projectAnswer(management, asked, query, EXTENDED),
  }),
  route({
    method: 'get',
    path: '/audit-logs',
    summary: 'The trails that the caller may read, without what was refused: of everything, or of projects.',
    tag: 'auditlog',
    needs: 'identified',
    query: Query,
    answers: { 200: Type.Array(AuditLog) },
    handle: (management, asked, { query }) => wholeAnswer(management, asked, query, SHORT),
  }),
  route({
    method: 'get',
    path: '/auditlog-exts',
    summary: 'The trails that the caller may read: of everything, or of projects.',
    tag: 'auditlog',
    needs: 'identified',
    query: Query,
    answers: { 200: Type.Array(AuditLogExt) },
    handle: (management, asked, { query }) => wholeAnswer(management, asked, query, EXTENDED),
  }),
]

/** Whether somebody may read the whole trail, not that of projects alone. */
export function readsWholeTrail(subject: Subject): boolean {
  return mayInSystem(subject, LIST) || mayInSystem(subject, { resource: 'audit-log', action: 'list' })
}

function shortOf(entry: ListedEntry): object {
  return {
    id: entry.id,
    username: entry.username,
    resource: entry.resource,
    resource_type: entry.resourceType,
    operation: entry.operation,
    op_time: entry.at.toISOString(),
  }
}

function projectAnswer(management: Management, asked: Asked, query: ListQuery, form: Form): Promise<Answer | ApiError> {
  const { id, name } = projectOf(asked)
  return answerOf(management, asked, query, form, [id], name)
}

async function wholeAnswer(management: Management, asked: Asked, query: ListQuery, form: Form): Promise<Answer | ApiError> {
  const { subject } = asked
  if (readsWholeTrail(subject)) return answerOf(management, asked, query, form, 'all')
  const seen = await projectsInReach(management.queries(), subject)
  return answerOf(management, asked, query, form, seen.filter((project) => mayInProject(subject, project, LIST)).map(({ id }) => id))
}

/** The reading is on record before it is answered: by which fields it was searched, and not for what, which may be a name. */
async function answerOf(
  management: Management,
  asked: Asked,
  query: ListQuery,
  form: Form,
  projects: readonly string[] | 'all',
  project?: string,
): Promise<Answer | ApiError> {
  const list = listAsked(form.columns, query)
  if ('refused' in list) return list
  const page = await management.trail.list({ projects, words: form.words }, list)
  const by = fieldsOf(query, form)
  const { caller, requestId } = asked
  const sought = { ...(project === undefined ? {} : { project }), ...(by === '' ? {} : { by }) }
  await management.access.record({ what: 'reading', of: 'trail', asked: sought, exported: false, caller, requestId })
  return pageAnswer(asked, list, page, form.shown)
}

/** Other names than those of the form's own fields are whatever somebody typed. */
function fieldsOf({ q = '' }: ListQuery, { columns }: Form): string {
  const terms = parseTerms(q)
  return 'refused' in terms ? '' : terms.map(({ name }) => name).filter((name) => Object.hasOwn(columns, name)).join(' ')
}
