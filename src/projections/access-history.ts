import type { RobotTerms } from '../commands/robot/events.ts'
import type { Recorded } from '../ports/event.ts'
import { positionNumber } from '../ports/position.ts'
import { idOfStream, isIdentity, stateFact } from './facts.ts'
import type { IdentityFact } from './facts.ts'
import { put, set } from './projection.ts'
import type { Change, Projection, Row, Table } from './projection.ts'

/**
 * Everything that rights ever rested on, as intervals: a row was so from the event at `from_pos` on, until the one at `to_pos` (null:
 * still). What stands below a project, a user or a group does not end with it here: whoever asks looks whether it lived. Then the end of
 * a project costs one row, and one that lives again has all that it had.
 */
const SPAN = { from_pos: 'bigint', to_pos: 'bigint' } as const

/** The events that the intervals begin and end with; `at` is theirs in the order of time. */
const rightEvents: Table = {
  name: 'right_events',
  columns: { pos: 'bigint', at: 'timestamptz', stream: 'text', revision: 'bigint', id: 'text', actor_kind: 'text', actor_id: 'text' },
  key: ['pos'],
  indexes: ['(at, pos)'],
}

/** The lives of users, groups, robots and projects. `name`: a project's. `project`: the one that a robot belongs to. */
const lives: Table = {
  name: 'lives',
  columns: { id: 'text', kind: 'text', name: 'text', project: 'text', ...SPAN },
  key: ['id', 'from_pos'],
  indexes: ['(name) where name is not null'],
}

const visibilities: Table = { name: 'visibilities', columns: { project: 'text', visibility: 'text', ...SPAN }, key: ['project', 'from_pos'] }

/** Who was administrator or auditor of the system. */
const flags: Table = { name: 'user_flags', columns: { user_id: 'text', flag: 'text', ...SPAN }, key: ['user_id', 'flag', 'from_pos'] }

/** Which groups the logins of a user showed. */
const shownGroups: Table = {
  name: 'shown_groups',
  columns: { user_id: 'text', group_id: 'text', ...SPAN },
  key: ['user_id', 'group_id', 'from_pos'],
  indexes: ['(group_id)'],
}

/** The roles of a project's members; `kind`: user or group. */
const memberRoles: Table = {
  name: 'member_roles',
  columns: { project: 'text', kind: 'text', member: 'text', role: 'text', ...SPAN },
  key: ['project', 'kind', 'member', 'from_pos'],
  indexes: ['(member)'],
}

/**
 * A robot's permissions in projects, a row each, for as long as it was not disabled. `target`: a project's id, or `*` for every one.
 * `access` is JSON. From `expires_at` on it could do nothing more: that is no event.
 */
const robotGrants: Table = {
  name: 'robot_grants',
  columns: { robot: 'text', place: 'integer', target: 'text', access: 'text', expires_at: 'timestamptz', ...SPAN },
  key: ['robot', 'from_pos', 'place'],
  indexes: ['(target)'],
}

/** Which version of the table of roles rights rested on, from a position until that of the next row. */
const roleMatrices: Table = { name: 'role_matrices', columns: { from_pos: 'bigint', version: 'integer' }, key: ['from_pos'] }

/** Who could do what at any time, by which grant, and since which event. Folded from events that pushes do not bring. */
export const accessHistory: Projection = {
  name: 'access-history',
  tables: [rightEvents, lives, visibilities, flags, shownGroups, memberRoles, robotGrants, roleMatrices],
  needs: () => ({}),
  fold(recorded, context): readonly Change[] {
    const fact = stateFact(recorded.event)
    const changes = isIdentity(fact) ? changesOf(fact, recorded) : undefined
    if (changes === undefined) return []
    const { event, stream, revision, position } = recorded
    const row = { pos: positionNumber(position), at: context.asOf, stream, revision, id: event.id, actor_kind: event.actor.kind, actor_id: event.actor.subject }
    return [put(rightEvents, row), ...changes]
  },
}

/** What an event changes; undefined where rights do not rest on it. */
function changesOf(fact: IdentityFact, { stream, position }: Recorded): readonly Change[] | undefined {
  const pos = positionNumber(position)
  const begin = (table: Table, row: Row): Change => put(table, { ...row, from_pos: pos, to_pos: null })
  const end = (table: Table, which: Row): Change => set(table, { ...which, to_pos: null }, { to_pos: pos })
  const born = (kind: string, id: string, more: Row = {}): Change => begin(lives, { id, kind, name: null, project: null, ...more })
  const died = (id: string): readonly Change[] => [end(lives, { id })]

  switch (fact.type) {
    case 'RoleMatrixAdopted':
      return [put(roleMatrices, { from_pos: pos, version: fact.data.version })]

    case 'UserCreated': {
      const { user, administrator } = fact.data
      return [born('user', user), ...(administrator ? [begin(flags, { user_id: user, flag: 'administrator' })] : [])]
    }
    case 'UserDeleted':
    case 'SubjectForgotten':
      return died(fact.data.user)
    case 'AdministratorGranted':
      return [begin(flags, { user_id: fact.data.user, flag: 'administrator' })]
    case 'AdministratorRevoked':
      return [end(flags, { user_id: fact.data.user, flag: 'administrator' })]
    case 'AuditorGranted':
      return [begin(flags, { user_id: fact.data.user, flag: 'auditor' })]
    case 'AuditorRevoked':
      return [end(flags, { user_id: fact.data.user, flag: 'auditor' })]
    case 'UserGroupsChanged': {
      const { from, to } = fact.data
      const row = (id: string): Row => ({ user_id: idOfStream(stream), group_id: id })
      return [
        ...from.filter((id) => !to.includes(id)).map((id) => end(shownGroups, row(id))),
        ...to.filter((id) => !from.includes(id)).map((id) => begin(shownGroups, row(id))),
      ]
    }

    case 'GroupCreated':
      return [born('group', fact.data.group)]
    case 'GroupDeleted':
      return died(fact.data.group)

    case 'RobotCreated': {
      const { robot, project } = fact.data
      return [
        born('robot', robot, { project: project ?? null }),
        ...[...grantsOf(fact.data).values()].map((grant, place) => begin(robotGrants, { robot, place, ...grant })),
      ]
    }
    case 'RobotDeleted':
      return died(fact.data.robot)
    case 'RobotChanged': {
      const robot = idOfStream(stream)
      const [before, after] = [grantsOf(fact.data.from), grantsOf(fact.data.to)]
      const [ended, begun] = [[...before].filter(([key]) => !after.has(key)), [...after].filter(([key]) => !before.has(key))]
      return [...ended.map(([, grant]) => end(robotGrants, { robot, ...grant })), ...begun.map(([, grant], place) => begin(robotGrants, { robot, place, ...grant }))]
    }

    case 'ProjectCreated': {
      const { project, name, visibility, owner } = fact.data
      return [
        born('project', project, { name }),
        begin(visibilities, { project, visibility }),
        ...(owner === undefined ? [] : [begin(memberRoles, { project, kind: 'user', member: owner, role: 'projectAdmin' })]),
      ]
    }
    case 'ProjectDeleted':
      return died(fact.data.project)
    case 'VisibilityChanged': {
      const project = idOfStream(stream)
      return [end(visibilities, { project }), begin(visibilities, { project, visibility: fact.data.to })]
    }
    case 'MemberAdded':
    case 'MemberRoleChanged':
    case 'MemberRemoved': {
      const which = { project: idOfStream(stream), kind: fact.data.member.kind, member: fact.data.member.id }
      const ended = fact.type === 'MemberAdded' ? [] : [end(memberRoles, which)]
      if (fact.type === 'MemberRemoved') return ended
      return [...ended, begin(memberRoles, { ...which, role: fact.type === 'MemberAdded' ? fact.data.role : fact.data.to })]
    }

    case 'RegistryCreated':
    case 'SettingChanged':
    case 'SigningKeyMade':
    case 'VerifierKeyMade':
    case 'PersonChanged':
    case 'PasswordChanged':
    case 'CliSecretChanged':
    case 'GroupRenamed':
    case 'RobotSecretRefreshed':
    case 'MetadataChanged':
    case 'ProjectDeletionBegun':
    case 'ProjectDeletionStopped':
      return undefined
  }
}

/** What a robot's terms let it do in projects, each once. What two terms have in common began with the older ones. */
function grantsOf({ disabled, permissions, expiresAt }: Pick<RobotTerms, 'disabled' | 'permissions' | 'expiresAt'>): Map<string, Row> {
  const grants = new Map<string, Row>()
  for (const permission of disabled ? [] : permissions) {
    if (permission.kind !== 'project') continue
    const row = { target: permission.project, access: JSON.stringify(permission.access), expires_at: expiresAt }
    grants.set(JSON.stringify(row), row)
  }
  return grants
}
