import {
  AdministratorGranted, AdministratorRevoked, AuditorGranted, AuditorRevoked, PasswordChanged, PersonChanged, SubjectForgotten, UserCreated, UserDeleted, UserGroupsChanged,
} from '../../src/commands/user/events.ts'
import { ProcessStarted } from '../../src/commands/activity/events.ts'
import { GroupCreated, GroupDeleted, GroupRenamed } from '../../src/commands/group/events.ts'
import { LogNamed } from '../../src/commands/log/events.ts'
import {
  MemberAdded, MemberRemoved, MemberRoleChanged, MetadataChanged, ProjectCreated, ProjectDeleted, VisibilityChanged,
} from '../../src/commands/project/events.ts'
import type { Member, Role, Visibility } from '../../src/commands/project/events.ts'
import { RobotChanged, RobotCreated, RobotDeleted } from '../../src/commands/robot/events.ts'
import type { RobotPermission, RobotTerms } from '../../src/commands/robot/events.ts'
import { RoleMatrixAdopted, SettingChanged } from '../../src/commands/settings/events.ts'
import type { Fact } from '../../src/ports/event.ts'
import type { EventLog } from '../../src/ports/event-log.ts'
import type { Sealed } from '../../src/ports/key-store.ts'
import { streams } from '../../src/ports/streams.ts'
import { seeded } from '../support/random.ts'

/** Readable by anybody: what a history needs of a seal is that it can be opened. */
export const sealed = (clear: object): Sealed => Buffer.from(JSON.stringify(clear)).toString('base64url') as Sealed

const ROLES: readonly Role[] = ['projectAdmin', 'maintainer', 'developer', 'guest', 'limitedGuest', 'auditor']
const PROJECT_NAMES = ['team', 'library', 'web', 'data', 'ops', 'lab', 'mirror', 'tools']
const USER_NAMES = Array.from({ length: 30 }, (_, index) => `user-${index}`)
const ROBOT_NAMES = Array.from({ length: 12 }, (_, index) => `robot-${index}`)
const START = Date.parse('2026-01-01T00:00:00.000Z')
const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]

type ProjectState = { readonly id: string; readonly name: string; visibility: Visibility; readonly members: Map<string, { readonly member: Member; role: Role }> }
type UserState = { readonly id: string; readonly name: string; administrator: boolean; auditor: boolean; groups: string[] }
type RobotState = { readonly id: string; readonly name: string; readonly project: string | undefined; terms: RobotTerms }

/**
 * Appends a history of `count` grants, revocations and what surrounds them, as commands would have decided them: under few names, so that
 * projects, users and robots end and come again under the same ones, and by clocks that now and then stand behind.
 */
export async function generateChanges(log: EventLog, seed: number, count: number): Promise<void> {
  const random = seeded(seed)
  const chance = (share: number): boolean => random.next() < share
  const uuid = (): string => random.bytes(16).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  const revisions = new Map<string, number>()
  const users = new Map<string, UserState>()
  const gone: string[] = []
  const groups = new Map<string, string>()
  const projects = new Map<string, ProjectState>()
  const robots = new Map<string, RobotState>()
  const robot0 = uuid()
  let now = START
  let written = 0
  const numbers = { user: 0, group: 0, project: 0, robot: 0 }

  async function append(stream: string, fact: Fact): Promise<void> {
    now += random.below(20 * MINUTE)
    const behind = chance(0.03) ? random.below(3 * HOUR) : 0
    const actors = [...users.keys()]
    const actor = actors.length === 0 || chance(0.05) ? { kind: 'system' as const, subject: robot0 } : { kind: 'user' as const, subject: random.pick(actors) }
    const revision = revisions.get(stream) ?? -1
    const result = await log.append(stream, revision, [{ ...fact, id: uuid(), at: new Date(now - behind).toISOString(), actor }])
    if (result.status !== 'appended') throw new Error(`${stream} is not at ${revision}`)
    revisions.set(stream, revision + 1)
    written += 1
  }

  const free = (names: readonly string[], taken: Iterable<{ readonly name: string }>): string[] => {
    const there = new Set([...taken].map(({ name }) => name))
    return names.filter((name) => !there.has(name))
  }

  async function createUser(): Promise<void> {
    const [name] = [random.pick([...free(USER_NAMES, users.values()), ''])]
    if (name === '') return
    const user = { id: uuid(), name, administrator: users.size === 0 || chance(0.05), auditor: false, groups: [] }
    users.set(user.id, user)
    numbers.user += 1
    await append(streams.users, UserCreated({ user: user.id, number: numbers.user, source: 'local', person: sealed({ name }), verifier: sealed({}), administrator: user.administrator }))
  }

  async function createProject(): Promise<void> {
    const name = random.pick([...free(PROJECT_NAMES, projects.values()), ''])
    if (name === '') return
    const owner = chance(0.8) && users.size > 0 ? random.pick([...users.keys()]) : undefined
    const visibility = chance(0.3) ? 'public' : 'private'
    const project: ProjectState = { id: uuid(), name, visibility, members: new Map() }
    if (owner !== undefined) project.members.set(`user ${owner}`, { member: { kind: 'user', id: owner }, role: 'projectAdmin' })
    projects.set(project.id, project)
    numbers.project += 1
    await append(streams.projects, ProjectCreated({ project: project.id, number: numbers.project, name, visibility, ...(owner === undefined ? {} : { owner }) }))
  }

  function termsFor(home: string | undefined): RobotTerms {
    const access = (): RobotPermission['access'] =>
      (['pull', 'push', 'delete', 'list'] as const).filter(() => chance(0.5)).map((action) => ({ resource: chance(0.9) ? 'repository' : 'artifact', action }))
    const permissions = Array.from({ length: random.below(4) }, (): RobotPermission => {
      if (home === undefined && chance(0.2)) return { kind: 'system', access: access() }
      return { kind: 'project', project: home !== undefined && chance(0.7) ? home : chance(0.4) || projects.size === 0 ? '*' : random.pick([...projects.keys()]), access: access() }
    })
    const expires = now + random.below(4 * DAY) - HOUR
    const expiresAt = chance(0.4) ? null : new Date(expires).toISOString()
    return { description: '', disabled: chance(0.15), expiresAt, permissions, workloads: [] }
  }

  async function createRobot(): Promise<void> {
    const home = chance(0.6) && projects.size > 0 ? random.pick([...projects.keys()]) : undefined
    const name = random.pick([...free(ROBOT_NAMES, [...robots.values()].filter(({ project }) => project === home)), ''])
    if (name === '') return
    const robot = { id: uuid(), name, project: home, terms: termsFor(home) }
    robots.set(robot.id, robot)
    numbers.robot += 1
    const project = home === undefined ? {} : { project: home }
    await append(streams.robots, RobotCreated({ robot: robot.id, number: numbers.robot, name, ...project, verifier: sealed({}), ...robot.terms }))
  }

  async function changeRobot(robot: RobotState): Promise<void> {
    const fresh = termsFor(robot.project)
    // Some of what it has stays, so that the rest of it must be seen to be older.
    const kept = robot.terms.permissions.filter(() => chance(0.6))
    const to = chance(0.3)
      ? { ...robot.terms, disabled: !robot.terms.disabled }
      : { ...fresh, permissions: [...kept, ...fresh.permissions], expiresAt: chance(0.5) ? robot.terms.expiresAt : fresh.expiresAt }
    const from = robot.terms
    robot.terms = to
    await append(streams.robot(robot.id), RobotChanged({ from, to }))
  }

  async function changeMember(project: ProjectState): Promise<void> {
    const member: Member = chance(0.3) && groups.size > 0 ? { kind: 'group', id: random.pick([...groups.keys()]) } : { kind: 'user', id: random.pick([...users.keys()]) }
    const key = `${member.kind} ${member.id}`
    const known = project.members.get(key)
    const role = random.pick(ROLES)
    if (known === undefined) {
      project.members.set(key, { member, role })
      await append(streams.project(project.id), MemberAdded({ member, role }))
    } else if (chance(0.6)) {
      project.members.delete(key)
      await append(streams.project(project.id), MemberRemoved({ member, role: known.role }))
    } else if (known.role !== role) {
      project.members.set(key, { member, role })
      await append(streams.project(project.id), MemberRoleChanged({ member, from: known.role, to: role }))
    }
  }

  async function changeUser(user: UserState): Promise<void> {
    const last = user.administrator && [...users.values()].filter(({ administrator }) => administrator).length === 1
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2: {
        const to = [...groups.keys(), ...user.groups].filter((id, index, all) => all.indexOf(id) === index && chance(0.3)).sort()
        const from = user.groups
        if (to.join() === from.join()) return
        user.groups = to
        return append(streams.user(user.id), UserGroupsChanged({ from, to }))
      }
      case 3:
        if (last) return
        user.administrator = !user.administrator
        return append(streams.users, (user.administrator ? AdministratorGranted : AdministratorRevoked)({ user: user.id }))
      case 4:
        user.auditor = !user.auditor
        return append(streams.users, (user.auditor ? AuditorGranted : AuditorRevoked)({ user: user.id }))
      case 5:
        return append(streams.users, PersonChanged({ user: user.id, from: sealed({ name: user.name }), to: sealed({ name: user.name, comment: uuid() }) }))
      case 6:
        return append(streams.user(user.id), PasswordChanged({ verifier: sealed({}) }))
      default:
        if (last || chance(0.5)) return
        users.delete(user.id)
        gone.push(user.id)
        return append(streams.users, (chance(0.3) ? SubjectForgotten : UserDeleted)({ user: user.id }))
    }
  }

  async function step(): Promise<void> {
    const some = <T>(from: ReadonlyMap<string, T>): T | undefined => (from.size === 0 ? undefined : random.pick([...from.values()]))
    const [project, user, robot] = [some(projects), some(users), some(robots)]
    const roll = random.below(100)
    if (user === undefined || (roll < 6 && users.size < 25)) return createUser()
    if (project === undefined || (roll < 10 && projects.size < 7)) return createProject()
    if (roll < 60) return changeMember(project)
    if (roll < 75) return changeUser(user)
    if (roll < 80) return createRobot()
    if (roll < 87 && robot !== undefined) return changeRobot(robot)
    if (roll < 89 && robot !== undefined) {
      robots.delete(robot.id)
      return append(streams.robots, RobotDeleted({ robot: robot.id }))
    }
    if (roll < 92) {
      const from = project.visibility
      project.visibility = from === 'public' ? 'private' : 'public'
      return append(streams.project(project.id), VisibilityChanged({ from, to: project.visibility }))
    }
    if (roll === 92) {
      projects.delete(project.id)
      for (const each of robots.values()) if (each.project === project.id) robots.delete(each.id)
      return append(streams.projects, ProjectDeleted({ project: project.id }))
    }
    if (roll < 95) {
      const [id, name] = [uuid(), `group-${random.below(8)}`]
      if (groups.size > 7 || [...groups.values()].includes(name)) return
      groups.set(id, name)
      numbers.group += 1
      return append(streams.groups, GroupCreated({ group: id, number: numbers.group, name, source: 'oidc' }))
    }
    if (roll === 95 && groups.size > 0) {
      const [id, name] = random.pick([...groups])
      if (chance(0.5)) return append(streams.groups, GroupRenamed({ group: id, source: 'oidc', from: name, to: name }))
      groups.delete(id)
      return append(streams.groups, GroupDeleted({ group: id }))
    }
    // What rights do not rest on.
    if (roll === 96) return append(streams.project(project.id), MetadataChanged({ name: 'auto_scan', from: null, to: 'true' }))
    if (roll === 97) return append(streams.settings, SettingChanged({ name: 'session_timeout', from: null, to: random.below(100) }))
    if (roll === 98 && gone.length > 0 && chance(0.3)) return append(streams.users, SubjectForgotten({ user: random.pick(gone) }))
    const boot = uuid()
    return append(streams.activity(boot), ProcessStarted({ release: '0.0.0' }))
  }

  await append(streams.log, LogNamed({ log: 'testlog1' }))
  await append(streams.settings, SettingChanged({ name: 'session_timeout', from: null, to: 1 }))
  await append(streams.settings, RoleMatrixAdopted({ version: 1 }))
  while (written < count) await step()
}
