import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/names.ts'
import { memberKey } from '../project/events.ts'
import type { Role, Visibility } from '../project/events.ts'
import type { RobotPermission } from '../robot/events.ts'
import type { SettingValues } from '../settings/known.ts'
import { MATRIX, SYSTEM_AUDITOR, allows } from './roles.ts'
import type { Matrix, Permission } from './roles.ts'

/** Who asks, with all that rights rest on, as it is at this moment. */
export type Subject = Anonymous | User | Robot

export type Anonymous = { readonly kind: 'anonymous'; readonly id: string }

export type User = {
  readonly kind: 'user'
  readonly id: string
  readonly name: string
  readonly administrator: boolean
  readonly auditor: boolean
  /** The ids of the groups that the directory or provider showed at the last login. */
  readonly groups: readonly string[]
}

export type Robot = { readonly kind: 'robot'; readonly id: string; readonly name: string; readonly permissions: readonly RobotPermission[] }

/** A project that lives, as far as rights go. */
export type ProjectAccess = {
  readonly id: string
  readonly visibility: Visibility
  /** By `memberKey`. */
  readonly members: ReadonlyMap<string, Role>
}

/** The keys of the members that somebody is: by themselves, and through groups. */
export function memberKeys(subject: Subject): string[] {
  if (subject.kind !== 'user') return []
  return [memberKey({ kind: 'user', id: subject.id }), ...subject.groups.map((id) => memberKey({ kind: 'group', id }))]
}

/** The roles that somebody has in a project, by themselves and through groups. */
export function rolesIn(subject: Subject, { members }: Pick<ProjectAccess, 'members'>): Role[] {
  return memberKeys(subject).map((key) => members.get(key)).filter((role) => role !== undefined)
}

/** Whether somebody may do something in a project, by the tables of now or, for a question about the past, of then. */
export function mayInProject(subject: Subject, project: ProjectAccess, permission: Permission, matrix: Matrix = MATRIX): boolean {
  if (subject.kind === 'user' && subject.administrator) return true
  if (project.visibility === 'public' && allows(matrix.everybody, permission)) return true
  switch (subject.kind) {
    case 'anonymous':
      return false
    case 'user':
      return (subject.auditor && allows(matrix.systemAuditor, permission)) || rolesIn(subject, project).some((role) => allows(matrix.roles[role], permission))
    case 'robot':
      return subject.permissions.some(
        (each) => each.kind === 'project' && (each.project === '*' || each.project === project.id) && names(each, permission),
      )
  }
}

/** Whether somebody may do something on the registry itself. */
export function mayInSystem(subject: Subject, permission: Permission): boolean {
  switch (subject.kind) {
    case 'anonymous':
      return false
    case 'user':
      return subject.administrator || (subject.auditor && allows(SYSTEM_AUDITOR, permission))
    case 'robot':
      return subject.permissions.some((each) => each.kind === 'system' && names(each, permission))
  }
}

function names({ access }: RobotPermission, { resource, action }: Permission): boolean {
  return access.some((each) => each.resource === resource && each.action === action)
}

/** Whether a robot has all that a permission gives, so that it may hand it on. What everybody may do in a public project is not its own. */
export function hasPermission(robot: Pick<Robot, 'permissions'>, given: RobotPermission): boolean {
  return given.access.every((access) => robot.permissions.some((own) => reaches(own, given) && names(own, access)))
}

function reaches(own: RobotPermission, given: RobotPermission): boolean {
  if (own.kind === 'system' || given.kind === 'system') return own.kind === given.kind
  return own.project === '*' || own.project === given.project
}

/** What is done to a repository's content. */
export const ACTIONS = ['pull', 'push', 'delete'] as const
export type Action = (typeof ACTIONS)[number]

/** What each takes. */
export const NEEDED: Readonly<Record<Action, Permission>> = {
  pull: { resource: 'repository', action: 'pull' },
  push: { resource: 'repository', action: 'push' },
  delete: { resource: 'repository', action: 'delete' },
}

/**
 * The questions of every door that moves bytes or changes what a repository holds. Immutability, quota, signature and scan policies come
 * to stand here, which is why they are told what is meant and when.
 */
export function mayPull(subject: Subject, project: ProjectAccess, _what: Digest | Tag | undefined, _now: Date): boolean {
  return mayInProject(subject, project, NEEDED.pull)
}

export function mayPush(subject: Subject, project: ProjectAccess, _what: Digest | Tag | undefined, _now: Date): boolean {
  return mayInProject(subject, project, NEEDED.push)
}

export function mayDelete(subject: Subject, project: ProjectAccess, _what: Digest | Tag | undefined, _now: Date): boolean {
  return mayInProject(subject, project, NEEDED.delete)
}

const QUESTIONS = { pull: mayPull, push: mayPush, delete: mayDelete } as const

/** The one of them that an action takes. */
export function may(action: Action, subject: Subject, project: ProjectAccess, what: Digest | Tag | undefined, now: Date): boolean {
  return QUESTIONS[action](subject, project, what, now)
}

/** By the settings of now: they let every user create projects, or administrators only. */
export function mayCreateProject(subject: Subject, { project_creation_restriction: restriction }: Pick<SettingValues, 'project_creation_restriction'>): boolean {
  const asked = { resource: 'project', action: 'create' }
  return mayInSystem(subject, asked) || (subject.kind === 'user' && restriction === 'everyone')
}
