import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { hasPermission, mayInProject } from '../../commands/access/rights.ts'
import type { Subject } from '../../commands/access/rights.ts'
import { ROBOT_IN_PROJECT, ROBOT_IN_SYSTEM, allows } from '../../commands/access/roles.ts'
import type { RobotPermission } from '../../commands/robot/events.ts'
import type { IdentityReader } from '../../projections/identity-reader.ts'
import type { RobotEntry } from '../../projections/people-queries.ts'
import { line, text } from './people.ts'
import { forbidden, noSuchProject } from './refusals.ts'
import { apiError, forWantOf } from './route.ts'
import type { ApiError } from './route.ts'

const DAY_MS = 86_400_000
/** The end of the year 9999: beyond it a time is written otherwise. */
const LAST_MS = 253_402_300_799_000

/** Characters as JSON: a change says what they were and what they are, and an event has its bound. */
const MAX_PERMISSIONS = 100_000

export const Access = Type.Object({ resource: line(64, 1), action: line(64, 1), effect: Type.Optional(Type.Literal('allow')) })

export const RobotPermissionBody = Type.Object({
  kind: Type.Union([Type.Literal('system'), Type.Literal('project')]),
  namespace: Type.String({ minLength: 1, maxLength: 255, description: '/ for the system; * for all projects, or the name of one' }),
  access: Type.Array(Access, { minItems: 1, maxItems: 1_000 }),
})

export const RobotName = Type.String({ maxLength: 255, pattern: '^[a-z0-9]+(?:[._-][a-z0-9]+)*$' })
export const Description = text(1_024)
export const Level = Type.Union([Type.Literal('system'), Type.Literal('project')])
/** Days; -1: without end; 0: as the registry is set. */
export const Duration = Type.Integer({ minimum: -1, maximum: 2 ** 31 - 1 })

export const RobotAnswer = Type.Object({
  id: Type.Integer(),
  name: Type.String(),
  description: Type.String(),
  level: Level,
  duration: Type.Integer(),
  editable: Type.Boolean(),
  disable: Type.Boolean(),
  expires_at: Type.Integer({ description: 'Seconds since 1970; -1: never' }),
  permissions: Type.Array(RobotPermissionBody),
  creator_type: Type.Optional(Type.String()),
  creator_ref: Type.Optional(Type.Integer()),
  creation_time: Type.String(),
  update_time: Type.String(),
})

export const RobotCreatedAnswer = Type.Object({
  id: Type.Integer(), name: Type.String(), secret: Type.String(), creation_time: Type.String(), expires_at: Type.Integer(),
})

/** When a robot that was made at a time and lasts for days expires; null: never. */
export function expiryAfter(days: number, madeAt: Date): string | null | ApiError {
  if (days === -1) return null
  const at = madeAt.getTime() + days * DAY_MS
  return at > LAST_MS ? apiError(400, 'BAD_REQUEST', 'such a duration has no end: -1 says so') : new Date(at).toISOString()
}

/** When something expires that is given as seconds since 1970; null: never. */
export function expiryAt(seconds: number, now: Date): string | null | ApiError {
  if (seconds === -1) return null
  const at = seconds * 1_000
  return at <= now.getTime() || at > LAST_MS ? apiError(400, 'BAD_REQUEST', 'expires_at is a time to come, in seconds since 1970, or -1') : new Date(at).toISOString()
}

/** How long a robot lasts, in days from its making on; -1: without end. */
export function durationOf({ expiresAt, createdAt }: Pick<RobotEntry, 'expiresAt' | 'createdAt'>): number {
  return expiresAt === undefined ? -1 : Math.round((expiresAt.getTime() - createdAt.getTime()) / DAY_MS)
}

/**
 * The permissions that a robot is to be given, projects by their ids. Nobody can give what robots cannot have, and a robot not what it
 * has not itself. A project that the giver may not read is answered as one that is not there.
 */
export async function permissionsToGive(
  identity: Pick<IdentityReader, 'project'>,
  giver: Subject,
  asked: readonly Static<typeof RobotPermissionBody>[],
): Promise<RobotPermission[] | ApiError> {
  const given: RobotPermission[] = []
  for (const { kind, namespace, access: listed } of asked) {
    const access = uniqueAccess(listed)
    const unknown = access.find((each) => !allows(kind === 'system' ? ROBOT_IN_SYSTEM : ROBOT_IN_PROJECT, each))
    if (unknown !== undefined) return apiError(400, 'BAD_REQUEST', `no robot can be given ${unknown.resource}:${unknown.action} (${kind})`)
    if (kind === 'system' && namespace !== '/') return apiError(400, 'BAD_REQUEST', 'the namespace of the system is /')
    const permission = kind === 'system' ? { kind, access } : await inProject(identity, giver, namespace, access)
    if ('refused' in permission) return permission
    const beyond = giver.kind === 'robot' ? access.find((each) => !hasPermission(giver, { ...permission, access: [each] })) : undefined
    if (beyond !== undefined) return forWantOf(beyond, forbidden)
    given.push(permission)
  }
  if (JSON.stringify(given).length > MAX_PERMISSIONS) return apiError(413, 'TOO_LARGE', 'these are more permissions than a robot can have')
  return given
}

function uniqueAccess(listed: readonly Static<typeof Access>[]): RobotPermission['access'] {
  return [...new Map(listed.map(({ resource, action }) => [`${resource} ${action}`, { resource, action }])).values()]
}

async function inProject(identity: Pick<IdentityReader, 'project'>, giver: Subject, namespace: string, access: RobotPermission['access']): Promise<RobotPermission | ApiError> {
  if (namespace === '*') return { kind: 'project', project: '*', access }
  const project = await identity.project(namespace)
  if (project === undefined) return noSuchProject
  const permission = { kind: 'project', project: project.id, access } as const
  const seen = mayInProject(giver, project, { resource: 'project', action: 'read' }) || (giver.kind === 'robot' && hasPermission(giver, permission))
  return seen ? permission : forWantOf({ resource: 'project', action: 'read' }, noSuchProject, project.id)
}

/** A robot's name as it logs in. */
export function robotName({ name, projectName }: Pick<RobotEntry, 'name' | 'projectName'>, prefix: string): string {
  return `${prefix}${projectName === undefined ? '' : `${projectName}+`}${name}`
}

export function expirySeconds(expiresAt: Date | undefined): number {
  return expiresAt === undefined ? -1 : Math.floor(expiresAt.getTime() / 1_000)
}

/** A robot as it is answered. What it was given in a project that has ended is left out. */
export async function robotAnswer(identity: Pick<IdentityReader, 'projectById'>, prefix: string, robot: RobotEntry): Promise<Static<typeof RobotAnswer>> {
  const { number, description, project, disabled, expiresAt, permissions, creator, creatorNumber, createdAt, updatedAt } = robot
  const shown: Static<typeof RobotPermissionBody>[] = []
  for (const each of permissions) {
    const namespace = each.kind === 'system' ? '/' : each.project === '*' ? '*' : (await identity.projectById(each.project))?.name
    if (namespace !== undefined) shown.push({ kind: each.kind, namespace, access: each.access.map((access) => ({ ...access, effect: 'allow' })) })
  }
  return {
    id: number,
    name: robotName(robot, prefix),
    description,
    level: project === undefined ? 'system' : 'project',
    duration: durationOf(robot),
    editable: true,
    disable: disabled,
    expires_at: expirySeconds(expiresAt),
    permissions: shown,
    ...(creatorNumber === undefined ? {} : { creator_type: creator.startsWith('robot:') ? 'robot' : 'local', creator_ref: creatorNumber }),
    creation_time: createdAt.toISOString(),
    update_time: updatedAt.toISOString(),
  }
}
