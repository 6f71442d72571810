import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

export const Visibility = Type.Union([Type.Literal('public'), Type.Literal('private')])

/** The roles that a member can have; what each may do stands in `../access/roles.ts`. */
export const Role = Type.Union(
  (['projectAdmin', 'maintainer', 'developer', 'guest', 'limitedGuest', 'auditor'] as const).map((role) => Type.Literal(role)),
)

/** Who a member is. Through a group, everybody whom its directory or provider shows in it. */
export const Member = Type.Object({ kind: Type.Union([Type.Literal('user'), Type.Literal('group')]), id: Uuid }, closed)

/** What is kept for a project under a name. */
const MetadataName = Type.String({ minLength: 1, maxLength: 255 })
const MetadataValue = Type.String({ maxLength: 10_000 })

/**
 * Stands in the stream `projects`, since names are unique among all projects; carries the project's whole first state. The owner, where
 * there is one (no robot is), is its first member, as projectAdmin.
 */
export const ProjectCreated = eventType(
  'ProjectCreated',
  Type.Object(
    {
      project: Uuid,
      number: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
      name: Type.String({ minLength: 1, maxLength: 255 }),
      visibility: Visibility,
      owner: Type.Optional(Uuid),
      metadata: Type.Optional(Type.Record(MetadataName, MetadataValue)),
    },
    closed,
  ),
)

/**
 * Its maker looks now for what the project holds. Who pushes into it and sees this stops the deletion before the push is answered, so
 * that it ends nothing that was said to be there.
 */
export const ProjectDeletionBegun = eventType('ProjectDeletionBegun', Type.Object({ project: Uuid }, closed))
export const ProjectDeletionStopped = eventType('ProjectDeletionStopped', Type.Object({ project: Uuid }, closed))

/** Ends all below it; the name is free. */
export const ProjectDeleted = eventType('ProjectDeleted', Type.Object({ project: Uuid }, closed))

export const projectsEvents = [ProjectCreated, ProjectDeletionBegun, ProjectDeletionStopped, ProjectDeleted] as const

/** Of the set of projects. */
export type ProjectsFact = FactOf<(typeof projectsEvents)[number]>

/** Stands in `project-<id>`, as the ones below. */
export const VisibilityChanged = eventType('VisibilityChanged', Type.Object({ from: Visibility, to: Visibility }, closed))

/** One of the names and values that are kept for a project; null: none. */
export const MetadataChanged = eventType(
  'MetadataChanged',
  Type.Object({ name: MetadataName, from: Type.Union([MetadataValue, Type.Null()]), to: Type.Union([MetadataValue, Type.Null()]) }, closed),
)

export const MemberAdded = eventType('MemberAdded', Type.Object({ member: Member, role: Role }, closed))
export const MemberRoleChanged = eventType('MemberRoleChanged', Type.Object({ member: Member, from: Role, to: Role }, closed))
export const MemberRemoved = eventType('MemberRemoved', Type.Object({ member: Member, role: Role }, closed))

export const projectEvents = [VisibilityChanged, MetadataChanged, MemberAdded, MemberRoleChanged, MemberRemoved] as const

/** Of one project. */
export type ProjectFact = FactOf<(typeof projectEvents)[number]>

export type Visibility = Static<typeof Visibility>
export type Role = Static<typeof Role>
export type Member = Static<typeof Member>

/** A member as one text, which the read models know them by. */
export function memberKey({ kind, id }: Member): string {
  return `${kind}:${id}`
}

/** The member of a `memberKey`. */
export function memberOfKey(key: string): Member {
  const [kind, id = ''] = key.split(':')
  return { kind: kind === 'user' ? 'user' : 'group', id }
}
