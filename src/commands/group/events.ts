import { Type } from '@sinclair/typebox'
import { Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** What an event holds of a group's name and of its DN, in characters. */
export const MAX_GROUP_NAME = 255
export const MAX_GROUP_DN = 1_000

const GroupName = Type.String({ minLength: 1, maxLength: MAX_GROUP_NAME })
const GroupSource = Type.Union([Type.Literal('ldap'), Type.Literal('oidc')])

/** A group of an outside directory or provider. `dn` is its name there, for LDAP. All events stand in the stream `groups`. */
export const GroupCreated = eventType(
  'GroupCreated',
  Type.Object(
    {
      group: Uuid,
      number: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
      name: GroupName,
      source: GroupSource,
      dn: Type.Optional(Type.String({ minLength: 1, maxLength: MAX_GROUP_DN })),
    },
    closed,
  ),
)

/** `source` as at its creation: a provider's group is told from others by its name, so this changes what it is. */
export const GroupRenamed = eventType('GroupRenamed', Type.Object({ group: Uuid, source: GroupSource, from: GroupName, to: GroupName }, closed))

/** Ends all that the group was given. */
export const GroupDeleted = eventType('GroupDeleted', Type.Object({ group: Uuid }, closed))

export const groupEvents = [GroupCreated, GroupRenamed, GroupDeleted] as const

export type GroupFact = FactOf<(typeof groupEvents)[number]>
