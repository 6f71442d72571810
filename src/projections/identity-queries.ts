import type { RobotPermission, WorkloadRule } from '../commands/robot/events.ts'
import type { Role, Visibility } from '../commands/project/events.ts'
import type { DecisionRows } from '../ports/decision-rows.ts'
import type { Sealed } from '../ports/key-store.ts'
import { streams } from '../ports/streams.ts'
import { VERIFIER_KID } from './identity.ts'
import { isMember } from './project-queries.ts'
import type { Rows } from './versioned-queries.ts'

/** A project that lives, with all that rights rest on. */
export type ProjectRow = {
  readonly id: string
  readonly number: number
  readonly name: string
  readonly visibility: Visibility
  readonly owner: string | undefined
  /** The event that began a deletion of it, which has not ended. */
  readonly deletion: string | undefined
  readonly createdAt: Date
  readonly updatedAt: Date
  /** By `memberKey`. */
  readonly members: ReadonlyMap<string, Role>
}

/** A user that lives, with what their logins rest on. */
export type UserRow = {
  readonly id: string
  readonly number: number
  readonly source: 'local' | 'ldap' | 'oidc'
  readonly name: string
  readonly email: string | undefined
  readonly realName: string | undefined
  readonly comment: string | undefined
  readonly external: string | undefined
  readonly verifier: Sealed | undefined
  /** Named by the tokens and sessions that came of the password; another one has ended them. */
  readonly credential: string
  readonly cliVerifier: Sealed | undefined
  readonly cliCredential: string | undefined
  readonly administrator: boolean
  /** Since a group of the directory says so, and for as long. */
  readonly administratorByDirectory: boolean
  readonly auditor: boolean
  readonly groups: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** A robot that lives. */
export type RobotRow = {
  readonly id: string
  readonly number: number
  readonly name: string
  readonly project: string | undefined
  readonly verifier: Sealed
  readonly credential: string
  readonly description: string
  readonly disabled: boolean
  readonly expiresAt: Date | undefined
  readonly permissions: readonly RobotPermission[]
  readonly workloads: readonly WorkloadRule[]
  /** `user:<id>` or `robot:<id>`. */
  readonly creator: string
  readonly createdAt: Date
  readonly updatedAt: Date
}

export type KeyRow = { readonly kid: string; readonly publicKey: string; readonly privateKey: Sealed; readonly notBefore: Date }

export type IdentityQueries = ReturnType<typeof identityQueries>

type StoredProject = {
  id: string; number: number; name: string; visibility: Visibility; owner: string | null; deletion: string | null; created_at: Date; updated_at: Date
  members: Record<string, Role> | null
}
export type StoredUser = {
  id: string; number: number; source: UserRow['source']; name: string | null; email: string | null; real_name: string | null; comment: string | null
  external: string | null; verifier: Sealed | null; credential: string; cli_verifier: Sealed | null; cli_credential: string | null
  administrator: boolean; administrator_by_directory: boolean; auditor: boolean; groups: string; created_at: Date; updated_at: Date
}
export type StoredRobot = {
  id: string; number: number; name: string; project: string | null; verifier: Sealed; credential: string; description: string; disabled: boolean
  expires_at: Date | null; permissions: string; workloads: string; creator: string; created_at: Date; updated_at: Date
}
type SetRow = { revision: string | null; last: number | null }

/** The queries of who there is and who may do what. Each is one statement, and so one snapshot. */
export function identityQueries(rows: Rows) {
  const projectColumns = (schema: string): string =>
    `p.*, (select json_object_agg(m.member, m.role) from ${schema}.members m where m.project = p.id and ${isMember(schema)}) as members`

  return {
    async projectByName(name: string): Promise<ProjectRow | undefined> {
      const found = await rows<StoredProject>('project', (schema) => `select ${projectColumns(schema)} from ${schema}.projects p where p.name = $1 and p.live`, [name])
      return found[0] && toProject(found[0])
    },

    async projectById(id: string): Promise<ProjectRow | undefined> {
      const found = await rows<StoredProject>('project by id', (schema) => `select ${projectColumns(schema)} from ${schema}.projects p where p.id = $1 and p.live`, [id])
      return found[0] && toProject(found[0])
    },

    /** Whether it lives or not: no other gets its number. */
    async projectIdByNumber(number: number): Promise<string | undefined> {
      return (await rows<{ id: string }>('project by number', (schema) => `select id from ${schema}.projects where number = $1`, [number]))[0]?.id
    },

    /** The live projects that are public, or where one of `members` is a member, or whose id is given (`*`: every id): what somebody could see at most. */
    async projectsInReach(members: readonly string[], ids: readonly string[]): Promise<ProjectRow[]> {
      const found = await rows<StoredProject>(
        'projects in reach',
        (schema) => `select ${projectColumns(schema)} from ${schema}.projects p where p.live and (p.visibility = 'public' or p.id = any($2) or '*' = any($2)
          or p.id in (select m.project from ${schema}.members m where m.member = any($1) and m.role is not null))`,
        [members, ids],
      )
      return found.map(toProject)
    },

    async user(id: string): Promise<UserRow | undefined> {
      const found = await rows<StoredUser>('user', (schema) => `select * from ${schema}.users where id = $1 and live`, [id])
      return found[0] && toUser(found[0])
    },

    async userIdByName(foldedName: string): Promise<string | undefined> {
      return (await rows<{ id: string }>('user by name', (schema) => `select id from ${schema}.users where folded_name = $1 and live`, [foldedName]))[0]?.id
    },

    /** The first, of a provider's subject. */
    async userIdByExternal(external: string): Promise<string | undefined> {
      const found = await rows<{ id: string }>(
        'user by external',
        (schema) => `select id from ${schema}.users where external = $1 and live and source = 'oidc' order by number limit 1`,
        [external],
      )
      return found[0]?.id
    },

    /** Whether there is a user beside the first, who came with the registry. */
    async hasOtherUsers(): Promise<boolean> {
      return (await rows('other users', (schema) => `select 1 from ${schema}.users where live and number > 1 limit 1`, [])).length > 0
    },

    /** Whether the name of a user begins so. */
    async hasUserNamed(foldedStart: string): Promise<boolean> {
      return (await rows('user names', (schema) => `select 1 from ${schema}.users where live and starts_with(folded_name, $1) limit 1`, [foldedStart])).length > 0
    },

    /** `key` as of `groupKey`. */
    async groupIdByKey(key: string): Promise<string | undefined> {
      return (await rows<{ id: string }>('group by key', (schema) => `select id from ${schema}.groups where key = $1 and live`, [key]))[0]?.id
    },

    async robot(id: string): Promise<RobotRow | undefined> {
      const found = await rows<StoredRobot>(
        'robot',
        (schema) => `select r.* from ${schema}.robots r where r.id = $1 and r.live
          and (r.project is null or exists (select 1 from ${schema}.projects p where p.id = r.project and p.live))`,
        [id],
      )
      return found[0] && toRobot(found[0])
    },

    async robotIdByName(name: string, project: string | undefined): Promise<string | undefined> {
      const found = await rows<{ id: string }>(
        'robot by name',
        (schema) => `select id from ${schema}.robots where name = $1 and project is not distinct from $2 and live`,
        [name, project ?? null],
      )
      return found[0]?.id
    },

    /** All pairs that tokens were ever signed with, oldest first. */
    async signingKeys(): Promise<KeyRow[]> {
      const found = await rows<{ kid: string; public_key: string; private_key: Sealed; not_before: Date }>(
        'signing keys',
        (schema) => `select kid, public_key, private_key, not_before from ${schema}.keys where kid <> $1 order by pos`,
        [VERIFIER_KID],
      )
      return found.map((row) => ({ kid: row.kid, publicKey: row.public_key, privateKey: row.private_key, notBefore: row.not_before }))
    },

    async verifierKey(): Promise<Sealed | undefined> {
      return (await rows<{ private_key: Sealed }>('verifier key', (schema) => `select private_key from ${schema}.keys where kid = $1`, [VERIFIER_KID]))[0]?.private_key
    },

    /** All settings that are not at their default. */
    async settings(): Promise<Map<string, { readonly value: unknown } | { readonly sealed: Sealed }>> {
      const found = await rows<{ name: string; value: string | null; sealed: Sealed | null }>('settings', (schema) => `select name, value, sealed from ${schema}.settings`, [])
      const set = found.filter((row) => row.sealed !== null || (row.value !== null && row.value !== 'null'))
      return new Map(set.map(({ name, value, sealed }) => [name, sealed === null ? { value: JSON.parse(value ?? 'null') as unknown } : { sealed }]))
    },
  }
}

/** What decisions on identity start from. */
export function identityDecisionRows(rows: Rows): Omit<DecisionRows, 'repository'> {
  const setOf = (schema: string, table: string, stream: string): string =>
    `(select revision from ${schema}.heads where stream = ${stream}) as revision, (select max(number) from ${schema}.${table}) as last`
  const asSet = (row: SetRow | undefined) => ({ revision: Number(row?.revision ?? -1), lastNumber: row?.last ?? 0 })

  return {
    async projects(asked) {
      const found = await rows<SetRow & { names: Record<string, string> | null; deletions: Record<string, string> | null }>(
        'decide projects',
        (schema) => `select ${setOf(schema, 'projects', '$3')}, p.names, p.deletions
          from (select json_object_agg(id, name) as names, json_object_agg(id, deletion) filter (where deletion is not null) as deletions
            from ${schema}.projects where live and (name = $1 or id = $2)) p`,
        ['name' in asked ? asked.name : null, 'id' in asked ? asked.id : null, streams.projects],
      )
      return { ...asSet(found[0]), names: new Map(Object.entries(found[0]?.names ?? {})), deletions: new Map(Object.entries(found[0]?.deletions ?? {})) }
    },

    async project(id, members) {
      const found = await rows<{
        revision: string | null; live: boolean | null; visibility: Visibility | null; members: Record<string, string> | null; metadata: Record<string, string> | null
      }>(
        'decide project',
        (schema) => `select (select revision from ${schema}.heads where stream = $3) as revision,
          (select live from ${schema}.projects where id = $1) as live,
          (select visibility from ${schema}.projects where id = $1) as visibility,
          (select json_object_agg(member, role) from ${schema}.members where project = $1 and member = any($2) and role is not null) as members,
          (select json_object_agg(name, value) from ${schema}.project_metadata where project = $1 and value is not null) as metadata`,
        [id, members, streams.project(id)],
      )
      const [row] = found
      return {
        revision: Number(row?.revision ?? -1),
        live: row?.live ?? false,
        visibility: row?.visibility ?? 'private',
        members: Object.entries(row?.members ?? {}).map(([member, role]) => ({ member, role })),
        metadata: new Map(Object.entries(row?.metadata ?? {})),
      }
    },

    async users({ id, name, email, external }) {
      type Stored = { id: string; live: boolean; forgotten: boolean; administrator: boolean; auditor: boolean; sealed: Sealed }
      const found = await rows<SetRow & { users: Stored[] | null; administrators: string[] | null }>(
        'decide users',
        (schema) => `select ${setOf(schema, 'users', '$4')},
          (select json_agg(json_build_object('id', id, 'live', live, 'forgotten', forgotten, 'administrator', administrator, 'auditor', auditor, 'sealed', sealed))
             from ${schema}.users where id = $1 or (live and (folded_name = $2 or folded_email = $3 or external = $5))) as users,
          (select json_agg(id) from ${schema}.users where administrator) as administrators`,
        [id, name ?? null, email ?? null, streams.users, external ?? null],
      )
      return { ...asSet(found[0]), users: found[0]?.users ?? [], administrators: found[0]?.administrators ?? [] }
    },

    async user(id) {
      const found = await rows<{ revision: string | null; groups: string | null }>(
        'decide user',
        (schema) => `select (select revision from ${schema}.heads where stream = $2) as revision, (select groups from ${schema}.users where id = $1) as groups`,
        [id, streams.user(id)],
      )
      return { revision: Number(found[0]?.revision ?? -1), groups: JSON.parse(found[0]?.groups ?? '[]') as string[] }
    },

    async groups({ ids, keys }) {
      const found = await rows<SetRow & { groups: { id: string; key: string; name: string }[] | null }>(
        'decide groups',
        (schema) => `select ${setOf(schema, 'groups', '$3')},
          (select json_agg(json_build_object('id', id, 'key', key, 'name', name)) from ${schema}.groups where live and (id = any($1) or key = any($2))) as groups`,
        [ids, keys, streams.groups],
      )
      return { ...asSet(found[0]), groups: found[0]?.groups ?? [] }
    },

    async robots(asked) {
      const found = await rows<SetRow & { robots: { id: string; name: string; project: string | null }[] | null }>(
        'decide robots',
        (schema) => `select ${setOf(schema, 'robots', '$4')},
          (select json_agg(json_build_object('id', id, 'name', name, 'project', project)) from ${schema}.robots
             where live and (id = $1 or (name = $2 and project is not distinct from $3))) as robots`,
        ['id' in asked ? asked.id : null, 'name' in asked ? asked.name : null, 'name' in asked ? (asked.project ?? null) : null, streams.robots],
      )
      return { ...asSet(found[0]), robots: (found[0]?.robots ?? []).map(({ id, name, project }) => ({ id, name, project: project ?? undefined })) }
    },

    async robot(id) {
      const found = await rows<Partial<StoredRobot> & { revision: string | null }>(
        'decide robot',
        (schema) => `select h.revision, r.* from (select (select revision from ${schema}.heads where stream = $2) as revision) h
          left join ${schema}.robots r on r.id = $1 and r.live`,
        [id, streams.robot(id)],
      )
      const [row] = found
      const revision = Number(row?.revision ?? -1)
      if (row?.id == null) return { revision, terms: undefined }
      const { description = '', disabled = false, expires_at: expiresAt, permissions = '[]', workloads = '[]' } = row
      return {
        revision,
        terms: {
          description,
          disabled,
          expiresAt: expiresAt?.toISOString() ?? null,
          permissions: JSON.parse(permissions) as RobotPermission[],
          workloads: JSON.parse(workloads) as WorkloadRule[],
        },
      }
    },

    async settings() {
      const found = await rows<{ revision: string | null; name: string | null; value: string | null; secret: boolean | null }>(
        'decide settings',
        (schema) => `select h.revision, s.name, s.value, s.sealed is not null as secret from (select (select revision from ${schema}.heads where stream = $1) as revision) h
          left join ${schema}.settings s on s.value is not null or s.sealed is not null`,
        [streams.settings],
      )
      const set = found.flatMap(({ name, value, secret }) => (name === null ? [] : [{ name, value, secret }]))
      return {
        revision: Number(found[0]?.revision ?? -1),
        values: set.flatMap(({ name, value }) => (value === null ? [] : [[name, JSON.parse(value) as string | number | boolean | null] as const])),
        secrets: set.flatMap(({ name, secret }) => (secret === true ? [name] : [])),
      }
    },
  }
}

function toProject({ id, number, name, visibility, owner, deletion, created_at: createdAt, updated_at: updatedAt, members }: StoredProject): ProjectRow {
  const held = new Map(Object.entries(members ?? {}))
  return { id, number, name, visibility, owner: owner ?? undefined, deletion: deletion ?? undefined, createdAt, updatedAt, members: held }
}

export function toUser(row: StoredUser): UserRow {
  return {
    id: row.id,
    number: row.number,
    source: row.source,
    // Null while the key is destroyed and the event that says so is still to come.
    name: row.name ?? '',
    email: row.email ?? undefined,
    realName: row.real_name ?? undefined,
    comment: row.comment ?? undefined,
    external: row.external ?? undefined,
    verifier: row.verifier ?? undefined,
    credential: row.credential,
    cliVerifier: row.cli_verifier ?? undefined,
    cliCredential: row.cli_credential ?? undefined,
    administrator: row.administrator,
    administratorByDirectory: row.administrator_by_directory,
    auditor: row.auditor,
    groups: JSON.parse(row.groups) as string[],
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export function toRobot(row: StoredRobot): RobotRow {
  return {
    id: row.id,
    number: row.number,
    name: row.name,
    project: row.project ?? undefined,
    verifier: row.verifier,
    credential: row.credential,
    description: row.description,
    disabled: row.disabled,
    expiresAt: row.expires_at ?? undefined,
    permissions: JSON.parse(row.permissions) as RobotPermission[],
    workloads: JSON.parse(row.workloads) as WorkloadRule[],
    creator: row.creator,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
