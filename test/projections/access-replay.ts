import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/*
 * Who could do what, by brute force: every event from the first one on, one after the other, into plain maps, and then a look at all of
 * them. Written from the design, with a table of roles of its own; it shares nothing with src.
 */

export type Action = 'pull' | 'push' | 'delete'

/** An event as far as a replay looks at it. `number` is its position's. */
export type Replayed = {
  readonly number: number
  readonly stream: string
  readonly type: string
  readonly at: string
  readonly id: string
  readonly actor: { readonly kind: string; readonly subject: string }
  readonly data: Readonly<Record<string, unknown>>
}

type Cause = { readonly number: number; readonly id: string; readonly time: string; readonly actor: string }
type Held = { readonly role: string; readonly cause: Cause }
type RobotGrant = { readonly project: string; readonly actions: readonly string[]; readonly expires: number; readonly cause: Cause }
type Project = { readonly name: string; isPublic: boolean; visibilityCause: Cause; readonly members: Map<string, Held> }
type Terms = {
  readonly disabled: boolean
  readonly expiresAt: string | null
  readonly permissions: readonly { readonly kind: string; readonly project: string; readonly access: readonly { readonly resource: string; readonly action: string }[] }[]
}
type Robot = { readonly home: string | undefined; grants: Map<string, RobotGrant> }

type Harbor = { readonly roles: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>; readonly public: Readonly<Record<string, readonly string[]>> }
const matrix = JSON.parse(readFileSync(join(import.meta.dirname, '../commands/access/roles.json'), 'utf8')) as Harbor
/** An auditor, which Harbor does not have, pulls nothing and changes nothing. */
const roleAllows = (role: string, action: Action): boolean => role !== 'auditor' && (matrix.roles[role]?.['repository'] ?? []).includes(action)
const publicAllows = (action: Action): boolean => (matrix.public['repository'] ?? []).includes(action)

const STATE_STREAMS = (stream: string): boolean => !stream.startsWith('activity-')
/** What rights rest on: the order of time that answers are given in is looked up by these. */
export const RIGHTS: ReadonlySet<string> = new Set([
  'RoleMatrixAdopted', 'UserCreated', 'UserDeleted', 'SubjectForgotten', 'AdministratorGranted', 'AdministratorRevoked', 'AuditorGranted', 'AuditorRevoked',
  'UserGroupsChanged', 'GroupCreated', 'GroupDeleted', 'RobotCreated', 'RobotChanged', 'RobotDeleted', 'ProjectCreated', 'ProjectDeleted', 'VisibilityChanged',
  'MemberAdded', 'MemberRoleChanged', 'MemberRemoved',
])

/** A grant in one line: by what, through which group or on which target, and which events it came of. */
const line = (parts: readonly string[], cause: Cause, shown?: Cause): string =>
  [...parts, ...[cause, ...(shown === undefined ? [] : [shown])].map(({ number, id, time, actor }) => `${number} ${id} ${time} ${actor}`)].join(' | ')

/** By `<kind> <id>`, the lines of the grants by which they could. */
export type Answer = ReadonlyMap<string, readonly string[]>

export function startReplay() {
  const users = new Set<string>()
  const administrators = new Map<string, Cause>()
  const groups = new Set<string>()
  const shown = new Map<string, Map<string, Cause>>()
  const projects = new Map<string, Project>()
  const robots = new Map<string, Robot>()
  let clock = ''

  function apply({ number, stream, type, at, id, actor, data }: Replayed): void {
    if (!STATE_STREAMS(stream)) return
    if (at > clock) clock = at
    const cause = { number, id, time: clock, actor: `${actor.kind}:${actor.subject}` }
    const own = stream.slice(stream.indexOf('-') + 1)
    const text = (name: string): string => String(data[name])
    switch (type) {
      case 'UserCreated':
        users.add(text('user'))
        if (data['administrator'] === true) administrators.set(text('user'), cause)
        return
      case 'UserDeleted':
      case 'SubjectForgotten':
        users.delete(text('user'))
        administrators.delete(text('user'))
        shown.delete(text('user'))
        for (const { members } of projects.values()) members.delete(`user ${text('user')}`)
        return
      case 'AdministratorGranted':
        administrators.set(text('user'), cause)
        return
      case 'AdministratorRevoked':
        administrators.delete(text('user'))
        return
      case 'UserGroupsChanged': {
        if (!users.has(own)) return
        const before = shown.get(own) ?? new Map<string, Cause>()
        shown.set(own, new Map((data['to'] as string[]).map((group) => [group, before.get(group) ?? cause])))
        return
      }
      case 'GroupCreated':
        groups.add(text('group'))
        return
      case 'GroupDeleted':
        groups.delete(text('group'))
        for (const { members } of projects.values()) members.delete(`group ${text('group')}`)
        return
      case 'ProjectCreated': {
        const members = new Map(data['owner'] === undefined ? [] : [[`user ${text('owner')}`, { role: 'projectAdmin', cause }]])
        projects.set(text('project'), { name: text('name'), isPublic: data['visibility'] === 'public', visibilityCause: cause, members })
        return
      }
      case 'ProjectDeleted':
        projects.delete(text('project'))
        for (const [robot, { home }] of robots) if (home === text('project')) robots.delete(robot)
        return
      case 'VisibilityChanged': {
        const project = projects.get(own)
        if (project !== undefined) {
          project.isPublic = data['to'] === 'public'
          project.visibilityCause = cause
        }
        return
      }
      case 'MemberAdded':
      case 'MemberRoleChanged':
      case 'MemberRemoved': {
        const { kind, id: member } = data['member'] as { kind: string; id: string }
        const members = projects.get(own)?.members
        if (type === 'MemberRemoved') members?.delete(`${kind} ${member}`)
        else members?.set(`${kind} ${member}`, { role: text(type === 'MemberAdded' ? 'role' : 'to'), cause })
        return
      }
      case 'RobotCreated':
        robots.set(text('robot'), { home: data['project'] as string | undefined, grants: grantsFrom(data as Terms, cause, new Map()) })
        return
      case 'RobotChanged': {
        const robot = robots.get(own)
        if (robot !== undefined) robot.grants = grantsFrom(data['to'] as Terms, cause, robot.grants)
        return
      }
      case 'RobotDeleted':
        robots.delete(text('robot'))
    }
  }

  /** What a robot still has as before, it has since before. */
  function grantsFrom({ disabled, expiresAt, permissions }: Terms, cause: Cause, before: ReadonlyMap<string, RobotGrant>): Map<string, RobotGrant> {
    const grants = new Map<string, RobotGrant>()
    if (disabled) return grants
    const expires = expiresAt === null ? Infinity : Date.parse(expiresAt)
    for (const each of permissions) {
      if (each.kind !== 'project') continue
      const key = `${each.project} ${expires} ${each.access.map(({ resource, action }) => `${resource}:${action}`).join()}`
      const actions = each.access.filter(({ resource }) => resource === 'repository').map(({ action }) => action)
      grants.set(key, { project: each.project, actions, expires, cause: before.get(key)?.cause ?? cause })
    }
    return grants
  }

  /** Who could, in the project of an id. */
  function whoCould(id: string, action: Action, time: number): Answer {
    const answer = new Map<string, string[]>()
    const add = (who: string, grant: string): void => {
      answer.set(who, [...(answer.get(who) ?? []), grant].sort())
    }
    const project = projects.get(id)
    if (project === undefined) return answer
    if (project.isPublic && publicAllows(action)) add('anybody ', line(['visibility public'], project.visibilityCause))
    for (const [user, cause] of administrators) if (users.has(user)) add(`user ${user}`, line(['administrator'], cause))
    for (const [key, { role, cause }] of project.members) {
      if (!roleAllows(role, action)) continue
      const [kind = '', member = ''] = key.split(' ')
      if (kind === 'user' ? users.has(member) : groups.has(member)) add(key, line([`member ${role}`], cause))
      if (kind === 'user' || !groups.has(member)) continue
      for (const user of users) {
        const seen = shown.get(user)?.get(member)
        if (seen !== undefined) add(`user ${user}`, line([`group ${role} ${member}`], cause, seen))
      }
    }
    for (const [robot, { home, grants }] of robots) {
      if (home !== undefined && !projects.has(home)) continue
      for (const grant of grants.values()) {
        if (grant.expires <= time || !grant.actions.includes(action) || (grant.project !== '*' && grant.project !== id)) continue
        add(`robot ${robot}`, line([`permission ${grant.project}`], grant.cause))
      }
    }
    return answer
  }

  return {
    apply,
    whoCould,
    clock: () => clock,
    users: (): ReadonlySet<string> => users,
    robots: (): readonly string[] => [...robots.keys()],
    /** Ids of the projects that live, by name. */
    projects: (): ReadonlyMap<string, string> => new Map([...projects].map(([id, { name }]) => [name, id])),
  }
}
