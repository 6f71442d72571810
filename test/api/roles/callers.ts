import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/*
 * Who comes to the doors, and what each may do: from Harbor's own table (roles.json), and from what is said here of what Varve has besides.
 * Nothing of it is asked of src.
 */

type Actions = Readonly<Record<string, readonly string[]>>
type Table = {
  readonly roles: Readonly<Record<string, Actions>>
  readonly public: Actions
  readonly 'role ids on the wire': Readonly<Record<string, number>>
  readonly 'robot, project level: what it may be given': Actions
  readonly 'robot, system level: what it may be given besides': Actions
}

const harbor = JSON.parse(readFileSync(join(import.meta.dirname, '../../commands/access/roles.json'), 'utf8')) as Table
const [IN_PROJECT, IN_SYSTEM] = [harbor['robot, project level: what it may be given'], harbor['robot, system level: what it may be given besides']]

/** Varve's own role: reads members, trails and who could do what; pulls nothing and changes nothing. */
const AUDITOR: Actions = { access: ['read'], log: ['list'], member: ['list', 'read'], project: ['read'] }
/** What one of the whole system reads beside every project. */
const SYSTEM_AUDITOR: Actions = { ...AUDITOR, configuration: ['read'], robot: ['list', 'read'], user: ['list', 'read'], 'user-group': ['list', 'read'] }

export const ROLES: Readonly<Record<string, Actions>> = {
  ...harbor.roles,
  // Who could do what is Varve's own question, and for those who administer a project.
  projectAdmin: { ...harbor.roles['projectAdmin'], access: ['read'] },
  auditor: AUDITOR,
}
export const ROLE_IDS: Readonly<Record<string, number>> = { ...harbor['role ids on the wire'], auditor: 6 }

/** Those that are asked about. */
export const PROJECTS = ['private', 'public'] as const
export type Project = (typeof PROJECTS)[number]
/** Beside them there are a private one where every user with or without a role is a developer, and the one that every registry begins with. */
export type AnyProject = Project | 'other' | 'library'

/** `own`: in the project that is asked about, of which each has such a robot. `*`: in all of them. `/`: on the registry itself. */
type Where = 'own' | 'other' | '*' | '/'

export const ROBOTS: Readonly<Record<string, { readonly where: Where; readonly access: Actions }>> = {
  'robot-puller': { where: 'own', access: { repository: ['pull'] } },
  'robot-pusher': { where: 'own', access: { repository: ['pull', 'push'] } },
  'robot-deleter': { where: 'own', access: { repository: ['delete'] } },
  'robot-reader': { where: 'own', access: { log: ['list'], member: ['list'], project: ['read'], robot: ['list', 'read'] } },
  'robot-manager': { where: 'own', access: IN_PROJECT },
  'robot-neighbour': { where: 'other', access: IN_PROJECT },
  'robot-rover': { where: '*', access: { project: ['read'], repository: ['list', 'pull', 'push'] } },
  'robot-operator': { where: '/', access: IN_SYSTEM },
}

/** Users who log in, of whom `stranger` has no role where it is asked, and `system-auditor` none anywhere. */
export const USERS = [...Object.keys(ROLES), 'stranger', 'system-auditor'] as const
export const CALLERS = [...USERS, ...Object.keys(ROBOTS), 'nobody', 'administrator'] as const

export type Permission = { readonly resource: string; readonly action: string }

/** `resource:action`. */
export function permission(text: string): Permission {
  const [resource = '', action = ''] = text.split(':')
  return { resource, action }
}

/** What somebody was given in a project. */
function givenIn(caller: string, project: AnyProject): Actions {
  const robot = ROBOTS[caller]
  const isAskedAbout = project === 'private' || project === 'public'
  if (robot !== undefined) return robot.where === '*' || robot.where === project || (robot.where === 'own' && isAskedAbout) ? robot.access : {}
  if (caller === 'system-auditor') return SYSTEM_AUDITOR
  if (caller === 'nobody' || project === 'library') return {}
  return (isAskedAbout ? ROLES[caller] : ROLES['developer']) ?? {}
}

function lists(actions: Actions, { resource, action }: Permission): boolean {
  return actions[resource]?.includes(action) === true
}

/** Whether the tables let somebody do something in a project. */
export function mayIn(project: AnyProject, caller: string, asked: Permission): boolean {
  return caller === 'administrator' || (project === 'public' && lists(harbor.public, asked)) || lists(givenIn(caller, project), asked)
}

/** Whether they let somebody do something on the registry itself, where no role in a project counts and no permission in one. */
export function mayOnRegistry(caller: string, asked: Permission): boolean {
  if (caller === 'administrator') return true
  if (caller === 'system-auditor') return lists(SYSTEM_AUDITOR, asked)
  const robot = ROBOTS[caller]
  return robot?.where === '/' && lists(robot.access, asked)
}

/** Everything that Harbor's tables name in a project. */
export const EVERYTHING = cells(...Object.values(harbor.roles), harbor.public, IN_PROJECT)
/** Everything that they, and what is said here of auditors, name on the registry itself. */
export const EVERYTHING_ON_REGISTRY = cells(IN_SYSTEM, SYSTEM_AUDITOR)

function cells(...tables: readonly Actions[]): readonly Permission[] {
  const rows = tables.flatMap((actions) => Object.entries(actions))
  const texts = rows.flatMap(([resource, names]) => names.map((action) => `${resource}:${action}`))
  return [...new Set(texts)].sort().map(permission)
}
