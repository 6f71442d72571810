import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { mayCreateProject, mayInProject, memberKeys } from '../../commands/access/rights.ts'
import type { Subject } from '../../commands/access/rights.ts'
import { projectAggregate, projectsAggregate } from '../../commands/project/aggregate.ts'
import type { Role, Visibility } from '../../commands/project/events.ts'
import { isProjectName } from '../../oci/names.ts'
import { folded } from '../../ports/same-name.ts'
import { projectColumns } from '../../projections/project-queries.ts'
import type { ProjectEntry } from '../../projections/project-queries.ts'
import { endProject } from '../project-end.ts'
import { reachOf } from '../reach.ts'
import { carryOut } from './carry-out.ts'
import { listAsked, listParameters, pageAnswer } from './listing.ts'
import { METADATA_NAMES, faultOfMetadata } from './project-metadata.ts'
import { roleNumbers } from './roles.ts'
import { refusedInProject } from './refusals.ts'
import { ProjectPath, apiError, done, forWantOf, projectOf, route } from './route.ts'
import type { ApiError, Route } from './route.ts'

const MetadataBody = Type.Record(Type.String(), Type.Union([Type.String({ maxLength: 1_000 }), Type.Null()]))

const ProjectBody = Type.Object({
  project_name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  public: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  metadata: Type.Optional(MetadataBody),
  cve_allowlist: Type.Optional(Type.Union([Type.Object({ items: Type.Optional(Type.Union([Type.Array(Type.Unknown()), Type.Null()])) }), Type.Null()])),
  storage_limit: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  registry_id: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
})

const Metadata = Type.Object(Object.fromEntries(METADATA_NAMES.map((name) => [name, Type.Optional(Type.String())])))

const Project = Type.Object({
  project_id: Type.Integer(),
  name: Type.String(),
  owner_id: Type.Optional(Type.Integer()),
  owner_name: Type.Optional(Type.String()),
  creation_time: Type.String({ format: 'date-time' }),
  update_time: Type.String({ format: 'date-time' }),
  deleted: Type.Boolean(),
  togglable: Type.Boolean({ description: 'Whether the caller may change the project.' }),
  current_user_role_id: Type.Integer({ description: 'The role of the caller that may do most; 0: none.' }),
  current_user_role_ids: Type.Array(Type.Integer()),
  repo_count: Type.Integer({ description: 'How many repositories were made in the project.' }),
  metadata: Metadata,
  cve_allowlist: Type.Object({ project_id: Type.Integer(), items: Type.Array(Type.Unknown()) }),
})

const Quota = Type.Object({ hard: Type.Record(Type.String(), Type.Integer()) })

const Summary = Type.Object({
  repo_count: Type.Integer(),
  project_admin_count: Type.Optional(Type.Integer()),
  maintainer_count: Type.Optional(Type.Integer()),
  developer_count: Type.Optional(Type.Integer()),
  guest_count: Type.Optional(Type.Integer()),
  limited_guest_count: Type.Optional(Type.Integer()),
  quota: Type.Optional(Quota),
})

const UPDATE = { resource: 'project', action: 'update' }
const onlyAdministrators = forWantOf({ resource: 'project', action: 'create' }, apiError(403, 'FORBIDDEN', 'only administrators may create projects here'))

export const routes: readonly Route[] = [
  route({
    method: 'head',
    path: '/projects',
    summary: 'Whether there is a project of this name that the caller may see.',
    tag: 'project',
    needs: 'identified',
    query: Type.Object({ project_name: Type.String({ minLength: 1, maxLength: 255 }) }),
    answers: { 200: undefined, 404: undefined },
    async handle({ identity }, { subject }, { query }) {
      return refusedInProject(subject, await identity.project(query.project_name), { resource: 'project', action: 'read' }) ?? { status: 200 }
    },
  }),
  route({
    method: 'get',
    path: '/projects',
    summary: 'The projects that the caller may see: public ones, and those where they are a member.',
    tag: 'project',
    needs: 'everybody',
    query: Type.Object({
      ...listParameters,
      name: Type.Optional(Type.String({ maxLength: 255, description: 'A part of the name.' })),
      public: Type.Optional(Type.Boolean()),
      owner: Type.Optional(Type.String({ maxLength: 255, description: "The owner's name." })),
      with_detail: Type.Optional(Type.Boolean({ description: 'Details are always in the answer.' })),
    }),
    answers: { 200: Type.Array(Project) },
    async handle({ queries }, asked, { query }) {
      const list = listAsked(projectColumns, query)
      if ('refused' in list) return list
      const { name, public: isPublic, owner } = query
      const filters = [
        ...list.filters,
        ...(name === undefined ? [] : [{ by: projectColumns.name, match: 'part', value: name } as const]),
        ...(isPublic === undefined ? [] : [{ by: projectColumns.public, match: 'equal', value: isPublic } as const]),
        ...(owner === undefined ? [] : [{ by: { column: projectColumns.owner.folded, type: 'text' }, match: 'equal', value: folded(owner) } as const]),
      ]
      const { subject } = asked
      const page = await queries().projectEntries(reachOf(subject), memberKeys(subject), { ...list, filters })
      return pageAnswer(asked, list, page, (entry) => shown(entry, subject))
    },
  }),
  route({
    method: 'post',
    path: '/projects',
    summary: 'Makes a project. Whoever makes it is its administrator.',
    tag: 'project',
    needs: 'identified',
    body: ProjectBody,
    answers: { 201: undefined },
    async handle(management, asked, { body }) {
      const { subject, request } = asked
      if (!mayCreateProject(subject, await management.settings())) return onlyAdministrators
      const name = body.project_name ?? ''
      if (!isProjectName(name)) {
        return apiError(400, 'BAD_REQUEST', 'a project is named with lower-case letters and digits, and single separators (., _, __, -) between them; some names are paths of the registry')
      }
      const wanted = wantedOf(body)
      if ('refused' in wanted) return wanted
      const owner = subject.kind === 'user' ? { owner: subject.id } : {}
      const command = { type: 'CreateProject', id: randomUUID(), name, ...owner, visibility: 'private', ...wanted } as const
      const created = await carryOut(management, asked, projectsAggregate(management.decisionRows), command)
      if ('refused' in created) return created
      const byName = request.headers['x-resource-name-in-location'] === 'true'
      const number = (await management.identity.projectById(command.id))?.number ?? name
      return { status: 201, headers: { Location: `/api/v2.0/projects/${byName ? name : number}` } }
    },
  }),
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}',
    summary: 'A project.',
    tag: 'project',
    needs: { project: { resource: 'project', action: 'read' } },
    params: ProjectPath,
    answers: { 200: Project },
    async handle({ queries }, asked) {
      const { subject } = asked
      const { number } = projectOf(asked)
      const only = { filters: [{ by: projectColumns.project_id, match: 'equal', value: number } as const], order: [], page: 1, pageSize: 1 }
      const [entry] = (await queries().projectEntries('all', memberKeys(subject), only)).items
      return entry === undefined ? apiError(404, 'NOT_FOUND', 'there is no such project') : { status: 200, body: shown(entry, subject) }
    },
  }),
  route({
    method: 'put',
    path: '/projects/{project_name_or_id}',
    summary: "Changes a project's visibility and metadata. Its name stays.",
    tag: 'project',
    needs: { project: UPDATE },
    params: ProjectPath,
    body: ProjectBody,
    answers: { 200: undefined },
    async handle(management, asked, { body }) {
      const wanted = wantedOf(body)
      if ('refused' in wanted) return wanted
      const aggregate = projectAggregate(management.decisionRows, projectOf(asked).id)
      return done(await carryOut(management, asked, aggregate, { type: 'ChangeProject', ...wanted }))
    },
  }),
  route({
    method: 'delete',
    path: '/projects/{project_name_or_id}',
    summary: 'Deletes a project that holds nothing.',
    tag: 'project',
    needs: { project: { resource: 'project', action: 'delete' } },
    params: ProjectPath,
    answers: { 200: undefined },
    async handle(management, asked) {
      const { id } = projectOf(asked)
      const kept = await endProject(management, asked, id)
      if (kept === 'holds manifests') return apiError(412, 'PRECONDITION', HOLDS)
      return kept ?? { status: 200 }
    },
  }),
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/_deletable',
    summary: 'Whether a project can be deleted, and what keeps it.',
    tag: 'project',
    needs: { project: { resource: 'project', action: 'delete' } },
    params: ProjectPath,
    answers: { 200: Type.Object({ deletable: Type.Boolean(), message: Type.Optional(Type.String()) }) },
    async handle({ queries }, asked) {
      const holds = await queries().holdsManifests(projectOf(asked).id)
      return { status: 200, body: holds ? { deletable: false, message: HOLDS } : { deletable: true } }
    },
  }),
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/summary',
    summary: 'Totals of a project: its repositories, and of members and limits what the caller may see.',
    tag: 'project',
    needs: { project: { resource: 'project', action: 'read' } },
    params: ProjectPath,
    answers: { 200: Summary },
    async handle({ queries }, asked) {
      const { subject } = asked
      const project = projectOf(asked)
      const seesMembers = mayInProject(subject, project, { resource: 'member', action: 'list' })
      const seesQuota = mayInProject(subject, project, { resource: 'quota', action: 'read' })
      const members = seesMembers ? memberTotals(await queries().memberCounts(project.id)) : {}
      // There are no quotas yet.
      const quota = seesQuota ? { quota: { hard: { storage: -1 } } } : {}
      return { status: 200, body: { repo_count: await queries().repositoryCount(project.id), ...members, ...quota } }
    },
  }),
]

const HOLDS = 'the project holds repositories: delete what is in them first'

function memberTotals(counts: ReadonlyMap<Role, number>) {
  const of = (role: Role): number => counts.get(role) ?? 0
  return {
    project_admin_count: of('projectAdmin'),
    maintainer_count: of('maintainer'),
    developer_count: of('developer'),
    guest_count: of('guest'),
    limited_guest_count: of('limitedGuest'),
  }
}

function shown(entry: ProjectEntry, subject: Subject): Static<typeof Project> {
  const roles = roleNumbers(entry.members.values())
  return {
    project_id: entry.number,
    name: entry.name,
    ...(entry.ownerNumber === undefined ? {} : { owner_id: entry.ownerNumber }),
    ...(entry.ownerName === undefined ? {} : { owner_name: entry.ownerName }),
    creation_time: entry.createdAt.toISOString(),
    update_time: entry.updatedAt.toISOString(),
    deleted: false,
    togglable: mayInProject(subject, entry, UPDATE),
    current_user_role_id: roles[0] ?? 0,
    current_user_role_ids: roles,
    repo_count: entry.repositories,
    metadata: { ...entry.metadata, public: String(entry.visibility === 'public') },
    cve_allowlist: { project_id: entry.number, items: [] },
  }
}

type Wanted = { readonly visibility?: Visibility; readonly metadata?: Readonly<Record<string, string>> }

/** What a body asks of a project. `metadata` says it; `public` is an older way to say one part of it. */
function wantedOf(body: Static<typeof ProjectBody>): Wanted | ApiError {
  const { registry_id: registry, storage_limit: limit, cve_allowlist: allowed } = body
  if (typeof registry === 'number') return apiError(400, 'BAD_REQUEST', 'a project that caches another registry is not possible here yet: leave registry_id out')
  if (typeof limit === 'number' && limit !== -1) return apiError(400, 'BAD_REQUEST', 'projects have no limit of storage here yet: leave storage_limit out, or say -1')
  if ((allowed?.items ?? []).length > 0) return apiError(400, 'BAD_REQUEST', 'images are not refused for vulnerabilities here yet, so that there is no list of those allowed')
  const given = Object.entries(body.metadata ?? {}).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]))
  for (const [name, value] of given) {
    const fault = faultOfMetadata(name, value)
    if (fault !== undefined) return apiError(400, 'BAD_REQUEST', fault)
  }
  const stated = given.find(([name]) => name === 'public')?.[1] ?? (typeof body.public === 'boolean' ? String(body.public) : undefined)
  const metadata = given.filter(([name]) => name !== 'public')
  return {
    ...(stated === undefined ? {} : { visibility: stated === 'true' ? 'public' : 'private' }),
    ...(metadata.length === 0 ? {} : { metadata: Object.fromEntries(metadata) }),
  }
}
