import type { Action } from '../commands/access/rights.ts'
import type { Grant, Sought } from '../commands/access/grants.ts'
import type { Role, Visibility } from '../commands/project/events.ts'
import type { RobotPermission } from '../commands/robot/events.ts'
import type { EventLog } from '../ports/event-log.ts'
import { position, positionLog, positionNumber } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { folded } from '../ports/same-name.ts'
import type { Rows } from './versioned-queries.ts'

/** What a question is about: all that had happened up to `position`, and the time that robots' ends are compared with. */
export type Moment = { readonly position: Position; readonly time: Date }

export type SubjectKind = 'user' | 'robot'

/** Somebody who lived then. `name` is today's, or the last one; undefined once a person was forgotten. */
export type SubjectThen = { readonly kind: SubjectKind; readonly id: string; readonly name: string | undefined }

/** The event that something came of, its time in the order of time, and who did it. */
export type Since = {
  readonly position: Position
  readonly time: Date
  readonly stream: string
  readonly revision: number
  readonly event: string
  readonly actor: { readonly kind: string; readonly id: string; readonly name: string | undefined }
}

/** By what somebody could, what of the actions that were asked for it allows, and since when they had it. */
export type GrantFound = {
  readonly grant: Grant
  readonly actions: readonly Action[]
  readonly since: Since
  /** Of a grant through a group: its name, and the login that first showed the user in it. */
  readonly group?: { readonly name: string; readonly shown: Since }
  /** When a robot's permission ends by time. */
  readonly expiresAt?: Date
}

/** Who could: everybody, whoever a directory or provider shows in a group, or one user or robot. */
export type CouldHave = {
  readonly kind: 'anybody' | 'group' | SubjectKind
  /** Empty for `anybody`. */
  readonly id: string
  readonly name: string | undefined
  /** The project that a robot belongs to. */
  readonly project: string | undefined
  readonly grants: readonly GrantFound[]
}

export type Reached = { readonly id: string; readonly name: string; readonly grants: readonly GrantFound[] }

/** A page, and whether there is more after it. */
export type Found<T> = { readonly found: readonly T[]; readonly more: boolean }

type StoredGrant = {
  project: string; project_name: string; kind: CouldHave['kind']; subject: string; subject_name: string | null; robot_project: string | null
  by: Grant['by']; role: string | null; via: string | null; via_name: string | null; target: string | null; access: string | null; expires_at: Date | null
  from_pos: string; shown_pos: string | null; since: StoredSince; shown: StoredSince | null
}
type StoredSince = { at: string; stream: string; revision: number; id: string; actor_kind: string; actor_id: string; actor_name: string | null }

export type AccessQueries = ReturnType<typeof accessQueries>

/**
 * Who could do what, at a moment of the past. What is asked of a moment that the read models have passed is always answered the same,
 * so pages of one answer need no snapshot of their own.
 */
export function accessQueries(rows: Rows) {
  async function pageOf(name: string, schema: Parameters<Rows>[1], values: readonly unknown[], moment: Moment, sought: Sought): Promise<[StoredGrant, GrantFound][]> {
    const found = await rows<StoredGrant>(name, schema, [String(positionNumber(moment.position)), moment.time, ...soughtValues(sought), ...values])
    return found.flatMap((row): [StoredGrant, GrantFound][] => {
      const grant = grantOf(row)
      const actions = sought.actionsBy(grant, row.project)
      return actions.length === 0 ? [] : [[row, grantFound(row, grant, actions, positionLog(moment.position))]]
    })
  }

  return {
    /** The last event that rights rest on, up to a position, or up to a time in the order of time. */
    async lastRightEvent(upTo: Position | Date): Promise<{ readonly number: string; readonly at: Date } | undefined> {
      const byTime = upTo instanceof Date
      const found = await rows<{ pos: string; at: Date }>(
        byTime ? 'right event by time' : 'right event',
        (schema) => `select pos, at from ${schema}.right_events where ${byTime ? 'at <= $1 order by at desc, pos desc' : 'pos <= $1 order by pos desc'} limit 1`,
        [byTime ? upTo : String(positionNumber(upTo))],
      )
      return found[0] && { number: found[0].pos, at: found[0].at }
    },

    /** The version of the table of roles that the log named last; undefined before it named one. */
    async rolesVersion(moment: Moment): Promise<number | undefined> {
      const found = await rows<{ version: number }>(
        'roles version',
        (schema) => `select version from ${schema}.role_matrices where from_pos <= $1 order by from_pos desc limit 1`,
        [String(positionNumber(moment.position))],
      )
      return found[0]?.version
    },

    /** The id of the project that had a name. */
    async projectThen(name: string, moment: Moment): Promise<string | undefined> {
      const found = await rows<{ id: string }>(
        'project then',
        (schema) => `select id from ${schema}.lives l where l.name = $2 and ${then('l')}`,
        [String(positionNumber(moment.position)), name],
      )
      return found[0]?.id
    },

    /** The users who lived then, of an id or name: two where one has taken the name that another had. Names are those of today, or the last. */
    async usersThen(nameOrId: string, moment: Moment): Promise<SubjectThen[]> {
      const found = await rows<{ id: string; name: string | null }>(
        'users then',
        (schema) => `select u.id, u.name from ${schema}.users u join ${schema}.lives l on l.id = u.id and ${then('l')} where u.id = $2 or u.folded_name = $3 limit 2`,
        [String(positionNumber(moment.position)), nameOrId.toLowerCase(), folded(nameOrId)],
      )
      return found.map(({ id, name }) => ({ kind: 'user', id, name: name ?? undefined }))
    },

    /** The robot that lived then, of an id or of a name: `<project>+<name>`, or the name alone for a robot of the system. */
    async robotThen(nameOrId: string, moment: Moment): Promise<SubjectThen | undefined> {
      const plus = nameOrId.indexOf('+')
      const found = await rows<{ id: string; name: string }>(
        'robot then',
        (schema) => `select r.id, r.name from ${schema}.robots r join ${schema}.lives l on l.id = r.id and ${then('l')}
          left join ${schema}.lives p on p.id = l.project and ${then('p')}
          where (l.project is null or p.id is not null) and (r.id = $2 or (r.name = $3 and p.name is not distinct from $4)) limit 1`,
        [String(positionNumber(moment.position)), nameOrId.toLowerCase(), nameOrId.slice(plus + 1), plus < 0 ? null : nameOrId.slice(0, plus)],
      )
      return found[0] && { kind: 'robot', ...found[0] }
    },

    /**
     * Who could do what is sought in a project, after one of them in the order of kinds and ids. `only`: whether one subject could, by
     * themselves or as anybody.
     */
    async whoCould(
      project: string,
      sought: Sought,
      moment: Moment,
      { after, limit, only }: { readonly after: Pick<CouldHave, 'kind' | 'id'> | undefined; readonly limit: number; readonly only: SubjectThen | undefined },
    ): Promise<Found<CouldHave>> {
      const found = await pageOf(
        'who could',
        (schema) => `with g as materialized (select * from (${grantsSql(schema)}) g
            where g.project = $7 and (g.kind, g.subject) > ($8::text collate "C", $9) and ($10::text is null or g.kind = 'anybody' or (g.kind = $10 and g.subject = $11))),
          page as (select g.kind, g.subject from g group by g.kind, g.subject order by g.kind, g.subject limit $12)
          select ${detailsSql(schema)} from g join page on page.kind = g.kind and page.subject = g.subject
          order by g.kind, g.subject, g.by, g.from_pos, g.via, g.target, g.access`,
        [project, after?.kind ?? '', after?.id ?? '', only?.kind ?? null, only?.id ?? null, limit + 1],
        moment,
        sought,
      )
      const grouped = [...Map.groupBy(found, ([{ kind, subject }]) => `${kind} ${subject}`).values()].flatMap((each): CouldHave[] => {
        const [[first] = []] = each
        if (first === undefined) return []
        const { kind, subject, subject_name: name, robot_project: robotProject } = first
        return [{ kind, id: subject, name: name ?? undefined, project: robotProject ?? undefined, grants: each.map(([, grant]) => grant) }]
      })
      return { found: grouped.slice(0, limit), more: grouped.length > limit }
    },

    /** The projects where somebody could do what is sought, by themselves or as anybody, after a name in the order of names. */
    async couldReach(
      { kind, id }: SubjectThen,
      sought: Sought,
      moment: Moment,
      { after, limit }: { readonly after: string | undefined; readonly limit: number },
    ): Promise<Found<Reached>> {
      const found = await pageOf(
        'could reach',
        (schema) => `with g as materialized (select * from (${grantsSql(schema)}) g where (g.kind = 'anybody' or (g.kind = $7 and g.subject = $8)) and g.project_name > $9),
          page as (select g.project from g group by g.project, g.project_name order by g.project_name limit $10)
          select ${detailsSql(schema)} from g join page on page.project = g.project
          order by g.project_name, g.by, g.from_pos, g.via, g.target, g.access`,
        [kind, id, after ?? '', limit + 1],
        moment,
        sought,
      )
      const grouped = [...Map.groupBy(found, ([{ project }]) => project)].map(([project, each]): Reached => ({
        id: project, name: each[0]?.[0].project_name ?? '', grants: each.map(([, grant]) => grant),
      }))
      return { found: grouped.slice(0, limit), more: grouped.length > limit }
    },
  }
}

/** Whether an interval held at the position that is `$1`. */
function then(alias: string): string {
  return `${alias}.from_pos <= $1 and (${alias}.to_pos is null or ${alias}.to_pos > $1)`
}

function soughtValues({ visibilities, flags, roles, permissions }: Sought): unknown[] {
  return [visibilities, flags, roles, permissions.map((permission) => JSON.stringify([permission]))]
}

/**
 * All grants of all projects at `$1` and, where they end by time, `$2`: as visibilities `$3`, flags `$4`, roles `$5` and accesses `$6` say.
 * A row each for the project, whom it lets (kind and id), and by what; Postgres carries a condition on one of them into each arm. Of all
 * lives, those of projects have a name.
 */
function grantsSql(schema: string): string {
  const none = 'null::text'
  const columns = ['project', 'project_name', 'kind', 'subject', 'by', 'role', 'via', 'target', 'access', 'expires_at', 'from_pos', 'shown_pos'] as const
  type Arm = Readonly<Partial<Record<(typeof columns)[number], string>>>
  const empty = { project: 'p.id', project_name: 'p.name', role: none, via: none, target: none, access: none, expires_at: 'null::timestamptz', shown_pos: 'null::bigint' }
  const arm = (values: Arm, from: string): string => `select ${columns.map((column) => `${{ ...empty, ...values }[column] ?? none} as ${column}`).join(', ')} from ${from}`
  const life = (alias: string, id: string): string => `join ${schema}.lives ${alias} on ${alias}.id = ${id} and ${then(alias)}`
  const members = `${schema}.member_roles m ${life('p', 'm.project')}`
  const role = { role: 'm.role', from_pos: 'm.from_pos' }
  const robots = `${schema}.robot_grants g ${life('r', 'g.robot')} left join ${schema}.lives home on home.id = r.project and ${then('home')}`
  const permission = { kind: `'robot'`, subject: 'g.robot', by: `'permission'`, target: 'g.target', access: 'g.access', expires_at: 'g.expires_at', from_pos: 'g.from_pos' }
  const permitted = `${then('g')} and (r.project is null or home.id is not null) and (g.expires_at is null or g.expires_at > $2) and g.access::jsonb @> any($6::jsonb[])`
  return [
    arm(
      { kind: `'anybody'`, subject: `''`, by: `'visibility'`, role: 'v.visibility', from_pos: 'v.from_pos' },
      `${schema}.visibilities v ${life('p', 'v.project')} where ${then('v')} and v.visibility = any($3)`,
    ),
    arm(
      { kind: `'user'`, subject: 'f.user_id', by: 'f.flag', from_pos: 'f.from_pos' },
      `${schema}.user_flags f ${life('u', 'f.user_id')} cross join ${schema}.lives p where ${then('f')} and f.flag = any($4) and p.name is not null and ${then('p')}`,
    ),
    arm({ ...role, kind: `'user'`, subject: 'm.member', by: `'member'` }, `${members} ${life('u', 'm.member')} where m.kind = 'user' and ${then('m')} and m.role = any($5)`),
    arm({ ...role, kind: `'group'`, subject: 'm.member', by: `'member'` }, `${members} ${life('g', 'm.member')} where m.kind = 'group' and ${then('m')} and m.role = any($5)`),
    arm(
      { ...role, kind: `'user'`, subject: 's.user_id', by: `'group'`, via: 'm.member', shown_pos: 's.from_pos' },
      `${members} ${life('g', 'm.member')} join ${schema}.shown_groups s on s.group_id = m.member and ${then('s')} ${life('u', 's.user_id')}
       where m.kind = 'group' and ${then('m')} and m.role = any($5)`,
    ),
    arm(permission, `${robots} ${life('p', 'g.target')} where ${permitted}`),
    arm(permission, `${robots} cross join ${schema}.lives p where g.target = '*' and p.name is not null and ${then('p')} and ${permitted}`),
  ].join('\nunion all ')
}

/**
 * The columns of a grant `g` with its names and the events that it came of. Each is looked up by itself: only a page's grants are, and joins
 * would be planned for all of them.
 */
function detailsSql(schema: string): string {
  const name = (table: string, id: string): string => `(select t.name from ${schema}.${table} t where t.id = ${id})`
  const byKind = (kind: string, id: string): string => `case ${kind} when 'user' then ${name('users', id)} when 'robot' then ${name('robots', id)} when 'group' then ${name('groups', id)} end`
  const event = (pos: string): string => `(select json_build_object('at', e.at at time zone 'UTC', 'stream', e.stream, 'revision', e.revision, 'id', e.id,
    'actor_kind', e.actor_kind, 'actor_id', e.actor_id, 'actor_name', ${byKind('e.actor_kind', 'e.actor_id')}) from ${schema}.right_events e where e.pos = ${pos})`
  return `g.*, ${byKind('g.kind', 'g.subject')} as subject_name, ${name('groups', 'g.via')} as via_name, ${event('g.from_pos')} as since, ${event('g.shown_pos')} as shown,
    case g.kind when 'robot' then (select p.name from ${schema}.robots r join ${schema}.projects p on p.id = r.project where r.id = g.subject) end as robot_project`
}

function grantOf({ by, role, via, target, access }: StoredGrant): Grant {
  switch (by) {
    case 'visibility':
      return { by, visibility: role as Visibility }
    case 'administrator':
    case 'auditor':
      return { by }
    case 'member':
      return { by, role: role as Role }
    case 'group':
      return { by, group: via ?? '', role: role as Role }
    case 'permission':
      return { by, permission: { kind: 'project', project: target ?? '', access: JSON.parse(access ?? '[]') as RobotPermission['access'] } }
  }
}

function grantFound({ from_pos, since, shown_pos, shown, via_name: name, expires_at: expiresAt }: StoredGrant, grant: Grant, actions: readonly Action[], log: string): GrantFound {
  return {
    grant,
    actions,
    since: sinceOf(from_pos, since, log),
    ...(shown === null || shown_pos === null ? {} : { group: { name: name ?? '', shown: sinceOf(shown_pos, shown, log) } }),
    ...(expiresAt === null ? {} : { expiresAt }),
  }
}

function sinceOf(pos: string, { at, stream, revision, id, actor_kind: kind, actor_id: actor, actor_name: name }: StoredSince, log: string): Since {
  return { position: position(log, pos), time: new Date(`${at}Z`), stream, revision, event: id, actor: { kind, id: actor, name: name ?? undefined } }
}

/**
 * The one user or robot who lived then and is named, by an id, a name, or the name that a robot logs in with, `prefix` before it. Else why
 * there is none: `unknown`, or `ambiguous` where two users of then have had the name.
 */
export async function subjectNamed(
  queries: Pick<AccessQueries, 'usersThen' | 'robotThen'>,
  prefix: string,
  { user, robot = '' }: { readonly user?: string; readonly robot?: string },
  moment: Moment,
): Promise<SubjectThen | 'unknown' | 'ambiguous'> {
  if (user === undefined) return (await queries.robotThen(robot.startsWith(prefix) ? robot.slice(prefix.length) : robot, moment)) ?? 'unknown'
  const [found, other] = await queries.usersThen(user, moment)
  return other === undefined ? (found ?? 'unknown') : 'ambiguous'
}

/** Why a moment cannot be asked about. */
export type NoMoment = { readonly refused: true; readonly reason: string }

/**
 * The moment that a question means, by a position of this log or a time; undefined: now. `head` is the log's, which the read models have
 * passed.
 *
 * A time means all that had happened by then in the order of time. A position's own time is that of its event, or, where its writer's
 * clock stood behind, that of the last event before it that rights rest on.
 */
export async function momentOf(
  log: Pick<EventLog, 'readAll'>,
  queries: Pick<AccessQueries, 'lastRightEvent'>,
  at: Position | Date | undefined,
  head: Position,
  now: Date,
): Promise<Moment | NoMoment> {
  if (typeof at === 'string') {
    const [last, own] = [await queries.lastRightEvent(at), await timeAt(log, at)]
    return { position: at, time: last === undefined || last.at < own ? own : last.at }
  }
  const newest = await queries.lastRightEvent(head)
  // What was written by a clock that is a little ahead is so already.
  const present = newest === undefined || newest.at < now ? now : newest.at
  if (at === undefined) return { position: head, time: present }
  if (at > present) return { refused: true, reason: `${at.toISOString()} has not come yet` }
  const last = await queries.lastRightEvent(at)
  return last === undefined ? { refused: true, reason: `${at.toISOString()} is before the log began` } : { position: position(positionLog(head), last.number), time: at }
}

async function timeAt(log: Pick<EventLog, 'readAll'>, asked: Position): Promise<Date> {
  for await (const { event } of log.readAll(['state', 'activity'], { at: asked })) return new Date(event.at)
  throw new Error(`there is no event at ${asked}`)
}
