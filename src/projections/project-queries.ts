import { memberOfKey } from '../commands/project/events.ts'
import type { Member, Role, Visibility } from '../commands/project/events.ts'
import { listPage } from './lists.ts'
import type { ListAsked, ListColumns, Page } from './lists.ts'
import type { Rows } from './versioned-queries.ts'

/** The projects that somebody may see beside the public ones: every one, or those with such a member (by `memberKey`) or such an id. */
export type Reach = 'all' | { readonly members: readonly string[]; readonly projects: readonly string[] }

/** A live project as lists show it. */
export type ProjectEntry = {
  readonly id: string
  readonly number: number
  readonly name: string
  readonly visibility: Visibility
  readonly createdAt: Date
  readonly updatedAt: Date
  /** Undefined where it never had one, as when a robot made it. */
  readonly ownerNumber: number | undefined
  /** Undefined where the owner is gone. */
  readonly ownerName: string | undefined
  /** How many repositories were made in it. */
  readonly repositories: number
  readonly metadata: Readonly<Record<string, string>>
  /** Of the members that were asked for: by `memberKey`. */
  readonly members: ReadonlyMap<string, Role>
}

/** A member that lives. */
export type MemberEntry = { readonly number: number; readonly member: Member; readonly role: Role; readonly name: string; readonly entityNumber: number }

export type RepositoryTotals = {
  readonly publicProjects: number
  readonly privateProjects: number
  readonly publicRepositories: number
  readonly privateRepositories: number
}

const number = { column: 'number', type: 'number' } as const
const name = { column: 'name', type: 'text' } as const

/** What a list of projects can be filtered and ordered by. */
export const projectColumns = {
  name,
  project_id: number,
  id: number,
  public: { column: 'public', type: 'boolean' },
  owner: { column: 'owner_name', type: 'text', folded: 'owner_folded' },
  owner_id: { column: 'owner_number', type: 'number' },
  creation_time: { column: 'created_at', type: 'time' },
  update_time: { column: 'updated_at', type: 'time' },
} as const satisfies ListColumns

/** What a list of members can be filtered and ordered by. */
export const memberColumns = { entity_name: { ...name, folded: 'folded_name' }, id: number } as const satisfies ListColumns

type StoredProject = {
  id: string; number: number; name: string; visibility: Visibility; created_at: Date; updated_at: Date; owner_number: number | null; owner_name: string | null
  repositories: string; metadata: Record<string, string> | null; members: Record<string, Role> | null
}
type StoredMember = { number: string; member: string; role: Role; name: string; entity_number: number }

export type ProjectQueries = ReturnType<typeof projectQueries>

/** The queries of lists of projects and of what is in them. Each is one statement, and so one snapshot. */
export function projectQueries(rows: Rows) {
  return {
    /** Those within reach, each with the roles that `keys` have there. */
    async projectEntries(reach: Reach, keys: readonly string[], asked: ListAsked): Promise<Page<ProjectEntry>> {
      const select = (schema: string): string => `select p.id, p.number, p.name, p.visibility, p.visibility = 'public' as public, p.created_at, p.updated_at,
          o.number as owner_number, o.folded_name as owner_folded, case when o.live then o.name end as owner_name,
          coalesce((select c.repositories from ${schema}.repository_counts c where c.project = p.id), 0) as repositories,
          (select json_object_agg(m.name, m.value) from ${schema}.project_metadata m where m.project = p.id and m.value is not null) as metadata,
          (select json_object_agg(m.member, m.role) from ${schema}.members m where m.project = p.id and m.member = any($4::text[]) and ${isMember(schema)}) as members
        from ${schema}.projects p left join ${schema}.users o on o.id = p.owner where p.live and ${within(schema)}`
      const page = await listPage<StoredProject>(rows, { select, values: [...parametersOf(reach), keys], key: 'number', order: [{ by: name, descending: false }] }, asked)
      return { ...page, items: page.items.map(toProject) }
    },

    async memberEntries(project: string, asked: ListAsked): Promise<Page<MemberEntry>> {
      const list = { select: (schema: string) => liveMembers(schema), values: [project], key: 'number', order: [{ by: name, descending: false }] }
      const page = await listPage<StoredMember>(rows, list, asked)
      return { ...page, items: page.items.map(toMember) }
    },

    async memberEntry(project: string, number: number): Promise<MemberEntry | undefined> {
      const found = await rows<StoredMember>('member', (schema) => `select * from (${liveMembers(schema)}) m where m.number = $2`, [project, number])
      return found[0] && toMember(found[0])
    },

    /** The number of a member, by its `memberKey`. */
    async memberNumber(project: string, key: string): Promise<number | undefined> {
      const found = await rows<{ number: string }>('member number', (schema) => `select number from ${schema}.members where project = $1 and member = $2`, [project, key])
      return found[0] && Number(found[0].number)
    },

    /** How many members have each role. */
    async memberCounts(project: string): Promise<ReadonlyMap<Role, number>> {
      const found = await rows<{ role: Role; members: number }>(
        'member counts',
        (schema) => `select m.role, count(*)::int as members from (${liveMembers(schema)}) m group by m.role`,
        [project],
      )
      return new Map(found.map(({ role, members }) => [role, members]))
    },

    /** How many repositories were made in a project. */
    async repositoryCount(project: string): Promise<number> {
      const found = await rows<{ repositories: string }>('repository count', (schema) => `select repositories from ${schema}.repository_counts where project = $1`, [project])
      return Number(found[0]?.repositories ?? 0)
    },

    /** Whether a repository of a project holds a manifest. */
    async holdsManifests(project: string): Promise<boolean> {
      const found = await rows(
        'holds manifests',
        (schema) => `select 1 from ${schema}.repositories r where r.project = $1
          and exists (select 1 from ${schema}.manifests m where m.repository = r.repository and m.live) limit 1`,
        [project],
      )
      return found.length > 0
    },

    /** Of the projects within reach. */
    async repositoryTotals(reach: Reach): Promise<RepositoryTotals> {
      const found = await rows<{ visibility: Visibility; projects: number; repositories: string }>(
        'repository totals',
        (schema) => `select p.visibility, count(*)::int as projects, coalesce(sum(c.repositories), 0) as repositories
          from ${schema}.projects p left join ${schema}.repository_counts c on c.project = p.id
          where p.live and ${within(schema)} group by p.visibility`,
        parametersOf(reach),
      )
      const of = (visibility: Visibility) => found.find((row) => row.visibility === visibility)
      return {
        publicProjects: of('public')?.projects ?? 0,
        privateProjects: of('private')?.projects ?? 0,
        publicRepositories: Number(of('public')?.repositories ?? 0),
        privateRepositories: Number(of('private')?.repositories ?? 0),
      }
    },
  }
}

/** The id of the group that a row `m` of the members names, null where it names none: so that a group is found by its key. */
const GROUP_ID = `case when starts_with(m.member, 'group:') then substr(m.member, 7) end`

/** Whether a row `m` of the members still counts. What was given to a group ends with it. */
export function isMember(schema: string): string {
  return `m.role is not null and not exists (select 1 from ${schema}.groups g where g.id = ${GROUP_ID} and not g.live)`
}

/** Whether the project `p` is public or within the reach that the first three parameters say. */
function within(schema: string): string {
  return `($1::boolean or p.visibility = 'public' or p.id = any($3::text[])
    or p.id in (select m.project from ${schema}.members m where m.member = any($2::text[]) and ${isMember(schema)}))`
}

function parametersOf(reach: Reach): readonly unknown[] {
  return reach === 'all' ? [true, [], []] : [false, reach.members, reach.projects]
}

/** The members of the project that is the first parameter, but for users and groups that are gone. */
function liveMembers(schema: string): string {
  return `select m.number, m.member, m.role, coalesce(u.name, g.name) as name, coalesce(u.folded_name, lower(g.name)) as folded_name, coalesce(u.number, g.number) as entity_number
    from ${schema}.members m
    left join ${schema}.users u on u.id = case when starts_with(m.member, 'user:') then substr(m.member, 6) end and u.live
    left join ${schema}.groups g on g.id = ${GROUP_ID} and g.live
    where m.project = $1 and m.role is not null and (u.id is not null or g.id is not null)`
}

function toProject(row: StoredProject): ProjectEntry {
  return {
    id: row.id,
    number: row.number,
    name: row.name,
    visibility: row.visibility,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ownerNumber: row.owner_number ?? undefined,
    ownerName: row.owner_name ?? undefined,
    repositories: Number(row.repositories),
    metadata: row.metadata ?? {},
    members: new Map(Object.entries(row.members ?? {})),
  }
}

function toMember({ number, member, role, name, entity_number: entityNumber }: StoredMember): MemberEntry {
  return { number: Number(number), member: memberOfKey(member), role, name, entityNumber }
}
