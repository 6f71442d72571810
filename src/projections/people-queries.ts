import { toRobot, toUser } from './identity-queries.ts'
import type { RobotRow, StoredRobot, StoredUser, UserRow } from './identity-queries.ts'
import { listPage } from './lists.ts'
import type { List, ListAsked, ListColumns, Page } from './lists.ts'
import type { Rows } from './versioned-queries.ts'

/** A group that lives. `dn`: what its LDAP directory calls it. */
export type GroupEntry = { readonly id: string; readonly number: number; readonly name: string; readonly source: 'ldap' | 'oidc'; readonly dn: string | undefined }

export type RobotEntry = RobotRow & {
  /** Of its project and its creator, who may have ended; undefined for a robot of the system, and where no user or robot made it. */
  readonly projectName: string | undefined
  readonly creatorNumber: number | undefined
}

export const userColumns = {
  user_id: { column: 'number', type: 'number' },
  username: { column: 'name', type: 'text', folded: 'folded_name' },
  email: { column: 'email', type: 'text', folded: 'folded_email' },
  realname: { column: 'real_name', type: 'text' },
  comment: { column: 'comment', type: 'text' },
  sysadmin_flag: { column: 'administrator', type: 'boolean' },
  creation_time: { column: 'created_at', type: 'time' },
  update_time: { column: 'updated_at', type: 'time' },
} as const satisfies ListColumns

export const groupColumns = {
  id: { column: 'number', type: 'number' },
  group_name: { column: 'name', type: 'text' },
  ldap_group_dn: { column: 'dn', type: 'text' },
} as const satisfies ListColumns

export const robotColumns = {
  id: { column: 'number', type: 'number' },
  /** `<project>+<name>` for a project's own. */
  name: { column: 'full_name', type: 'text' },
  description: { column: 'description', type: 'text' },
  disabled: { column: 'disabled', type: 'boolean' },
  creation_time: { column: 'created_at', type: 'time' },
  update_time: { column: 'updated_at', type: 'time' },
} as const satisfies ListColumns

type StoredGroup = { id: string; number: number; name: string; source: GroupEntry['source']; dn: string | null }
type StoredRobotEntry = StoredRobot & { project_name: string | null; creator_number: number | null }

export type PeopleQueries = ReturnType<typeof peopleQueries>

/** The queries of the users, groups and robots that live, as those who manage them see them. Each is one statement. */
export function peopleQueries(rows: Rows) {
  /** A project's robots end with it. */
  const robots = (schema: string): string =>
    `select r.*, p.name as project_name, coalesce(p.name || '+', '') || r.name as full_name,
       coalesce((select number from ${schema}.users where 'user:' || id = r.creator), (select number from ${schema}.robots where 'robot:' || id = r.creator)) as creator_number
     from ${schema}.robots r left join ${schema}.projects p on p.id = r.project
     where r.live and (r.project is null or p.live)`

  async function page<S extends object, T>(list: Omit<List, 'key'>, asked: ListAsked, entry: (stored: S) => T): Promise<Page<T>> {
    const { items, total } = await listPage<S>(rows, { ...list, key: 'number' }, asked)
    return { items: items.map(entry), total }
  }

  return {
    users(asked: ListAsked): Promise<Page<UserRow>> {
      const order = [{ by: userColumns.username, descending: false }]
      return page<StoredUser, UserRow>({ select: (schema) => `select * from ${schema}.users where live`, values: [], order }, asked, toUser)
    },

    async userByNumber(number: number): Promise<UserRow | undefined> {
      const found = await rows<StoredUser>('user of number', (schema) => `select * from ${schema}.users where number = $1 and live`, [number])
      return found[0] && toUser(found[0])
    },

    groups(asked: ListAsked): Promise<Page<GroupEntry>> {
      const order = [{ by: groupColumns.group_name, descending: false }]
      return page<StoredGroup, GroupEntry>({ select: (schema) => `select * from ${schema}.groups where live`, values: [], order }, asked, toGroup)
    },

    async groupByNumber(number: number): Promise<GroupEntry | undefined> {
      const found = await rows<StoredGroup>('group of number', (schema) => `select * from ${schema}.groups where number = $1 and live`, [number])
      return found[0] && toGroup(found[0])
    },

    /** The robots of a project, or of the system. */
    robots(project: string | undefined, asked: ListAsked): Promise<Page<RobotEntry>> {
      const select = (schema: string): string => `${robots(schema)} and r.project is not distinct from $1`
      return page<StoredRobotEntry, RobotEntry>({ select, values: [project ?? null] }, asked, toRobotEntry)
    },

    async robotByNumber(number: number): Promise<RobotEntry | undefined> {
      const found = await rows<StoredRobotEntry>('robot of number', (schema) => `${robots(schema)} and r.number = $1`, [number])
      return found[0] && toRobotEntry(found[0])
    },
  }
}

function toGroup({ id, number, name, source, dn }: StoredGroup): GroupEntry {
  return { id, number, name, source, dn: dn ?? undefined }
}

function toRobotEntry(row: StoredRobotEntry): RobotEntry {
  return { ...toRobot(row), projectName: row.project_name ?? undefined, creatorNumber: row.creator_number ?? undefined }
}
