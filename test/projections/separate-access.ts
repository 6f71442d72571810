import type { Recorded } from '../../src/ports/event.ts'

/*
 * The rows that the tables of the history of rights must have, folded a second time: a list a table, searched from one end to the other
 * for what an event ends. Shares nothing with src/projections.
 */

type Row = Record<string, string | number | boolean | null>
type Data = Readonly<Record<string, unknown>>
type Terms = { readonly disabled: boolean; readonly expiresAt: string | null; readonly permissions: readonly { kind: string; project: string; access: object[] }[] }

export function separateAccess() {
  const tables = {
    right_events: [] as Row[],
    lives: [] as Row[],
    visibilities: [] as Row[],
    user_flags: [] as Row[],
    shown_groups: [] as Row[],
    member_roles: [] as Row[],
    robot_grants: [] as Row[],
    role_matrices: [] as Row[],
  }

  /** `asOf`: the event's time in the order of time. */
  function fold({ event, stream, revision, position }: Recorded, asOf: string): void {
    const pos = position.split('-')[1] ?? ''
    const [, own = ''] = /^[a-z]+-(.*)$/.exec(stream) ?? []
    const data = event.data as Data
    const text = (name: string): string => String(data[name])
    const begin = (table: keyof typeof tables, row: Row): void => {
      tables[table].push({ ...row, from_pos: pos, to_pos: null })
    }
    const end = (table: keyof typeof tables, matches: (row: Row) => boolean): void => {
      for (const row of tables[table]) if (row['to_pos'] === null && matches(row)) row['to_pos'] = pos
    }
    const live = (kind: string, id: string, name: string | null = null, project: string | null = null): void => {
      begin('lives', { id, kind, name, project })
    }
    const die = (id: string): void => {
      end('lives', (row) => row['id'] === id)
    }

    switch (event.type) {
      case 'RoleMatrixAdopted':
        tables.role_matrices.push({ from_pos: pos, version: Number(data['version']) })
        break
      case 'UserCreated':
        live('user', text('user'))
        if (data['administrator'] === true) begin('user_flags', { user_id: text('user'), flag: 'administrator' })
        break
      case 'UserDeleted':
      case 'SubjectForgotten':
        die(text('user'))
        break
      case 'AdministratorGranted':
      case 'AuditorGranted':
        begin('user_flags', { user_id: text('user'), flag: event.type === 'AuditorGranted' ? 'auditor' : 'administrator' })
        break
      case 'AdministratorRevoked':
      case 'AuditorRevoked':
        end('user_flags', (row) => row['user_id'] === text('user') && row['flag'] === (event.type === 'AuditorRevoked' ? 'auditor' : 'administrator'))
        break
      case 'UserGroupsChanged': {
        const to = data['to'] as string[]
        end('shown_groups', (row) => row['user_id'] === own && !to.includes(String(row['group_id'])))
        const shown = tables.shown_groups.filter((row) => row['user_id'] === own && row['to_pos'] === null).map((row) => row['group_id'])
        for (const group of to) if (!shown.includes(group)) begin('shown_groups', { user_id: own, group_id: group })
        break
      }
      case 'GroupCreated':
        live('group', text('group'))
        break
      case 'GroupDeleted':
        die(text('group'))
        break
      case 'RobotCreated':
        live('robot', text('robot'), null, data['project'] === undefined ? null : text('project'))
        takeTerms(text('robot'), data as Terms)
        break
      case 'RobotChanged':
        takeTerms(own, data['to'] as Terms)
        break
      case 'RobotDeleted':
        die(text('robot'))
        break
      case 'ProjectCreated':
        live('project', text('project'), text('name'))
        begin('visibilities', { project: text('project'), visibility: text('visibility') })
        if (data['owner'] !== undefined) begin('member_roles', { project: text('project'), kind: 'user', member: text('owner'), role: 'projectAdmin' })
        break
      case 'ProjectDeleted':
        die(text('project'))
        break
      case 'VisibilityChanged':
        end('visibilities', (row) => row['project'] === own)
        begin('visibilities', { project: own, visibility: text('to') })
        break
      case 'MemberAdded':
      case 'MemberRoleChanged':
      case 'MemberRemoved': {
        const { kind, id } = data['member'] as { kind: string; id: string }
        end('member_roles', (row) => row['project'] === own && row['kind'] === kind && row['member'] === id)
        if (event.type !== 'MemberRemoved') begin('member_roles', { project: own, kind, member: id, role: text(event.type === 'MemberAdded' ? 'role' : 'to') })
        break
      }
      default:
        return
    }
    tables.right_events.push({ pos, at: asOf, stream, revision: String(revision), id: event.id, actor_kind: event.actor.kind, actor_id: event.actor.subject })

    function takeTerms(robot: string, { disabled, expiresAt, permissions }: Terms): void {
      const wanted = disabled ? [] : permissions.filter(({ kind }) => kind === 'project').map(({ project, access }) => ({ target: project, access: JSON.stringify(access), expires_at: expiresAt }))
      const same = (row: Row, each: (typeof wanted)[number]): boolean => row['target'] === each.target && row['access'] === each.access && row['expires_at'] === each.expires_at
      end('robot_grants', (row) => row['robot'] === robot && !wanted.some((each) => same(row, each)))
      let place = 0
      for (const each of wanted) {
        if (tables.robot_grants.some((row) => row['robot'] === robot && row['to_pos'] === null && same(row, each))) continue
        begin('robot_grants', { robot, place, ...each })
        place += 1
      }
    }
  }

  return { fold, tables: (): Readonly<Record<string, readonly Row[]>> => tables }
}
