import { Type } from '@sinclair/typebox'
import { SealedText, Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** Where somebody's password is checked: here, at an LDAP directory, or by an OIDC provider. */
export const UserSource = Type.Union([Type.Literal('local'), Type.Literal('ldap'), Type.Literal('oidc')])

/**
 * Stands in the stream `users`, since names and addresses are unique among all; carries the user's whole first state. `person` is a
 * Person as JSON, sealed under the user's own key; the password's verifier is sealed under the key named `secrets`.
 */
export const UserCreated = eventType(
  'UserCreated',
  Type.Object(
    {
      user: Uuid,
      number: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
      source: UserSource,
      person: SealedText,
      verifier: Type.Optional(SealedText),
      administrator: Type.Boolean(),
    },
    closed,
  ),
)

/**
 * Name, mail address or other things that are said of a person. `moved`: the directory has another entry for the name, which may be
 * another person: each token and session that came before ends.
 */
export const PersonChanged = eventType(
  'PersonChanged',
  Type.Object({ user: Uuid, from: SealedText, to: SealedText, moved: Type.Optional(Type.Literal(true)) }, closed),
)

/** Ends all that the user was given. */
export const UserDeleted = eventType('UserDeleted', Type.Object({ user: Uuid }, closed))

/**
 * The user's key is destroyed: nobody can open any more what was sealed of them. Also ends the user, where that was not done before.
 * `shared`: the subjects of callers without a login whose keys were destroyed with it, since they were seen at an address of the user's.
 */
export const SubjectForgotten = eventType('SubjectForgotten', Type.Object({ user: Uuid, shared: Type.Optional(Type.Array(Uuid)) }, closed))

/**
 * A system administrator may do everything. In `users`, or two could take it from each other at once and leave none. `directory`: since a
 * group there says so, and for as long.
 */
export const AdministratorGranted = eventType(
  'AdministratorGranted',
  Type.Object({ user: Uuid, directory: Type.Optional(Type.Literal(true)) }, closed),
)
export const AdministratorRevoked = eventType('AdministratorRevoked', Type.Object({ user: Uuid }, closed))

/** A system auditor reads every trail and every answer on access, pulls nothing and changes nothing. */
export const AuditorGranted = eventType('AuditorGranted', Type.Object({ user: Uuid }, closed))
export const AuditorRevoked = eventType('AuditorRevoked', Type.Object({ user: Uuid }, closed))

export const usersEvents = [
  UserCreated, PersonChanged, UserDeleted, SubjectForgotten, AdministratorGranted, AdministratorRevoked, AuditorGranted, AuditorRevoked,
] as const

/** Of the set of users. */
export type UsersFact = FactOf<(typeof usersEvents)[number]>

/**
 * Stands in `user-<id>`, as the ones below. `upgraded`: the same password under a better scheme, so that nothing that rests on it
 * ends; else each token and session that came of the old one does.
 */
export const PasswordChanged = eventType(
  'PasswordChanged',
  Type.Object({ verifier: SealedText, upgraded: Type.Optional(Type.Literal(true)) }, closed),
)

/** The secret that a user of an OIDC provider logs in with from the command line. */
export const CliSecretChanged = eventType('CliSecretChanged', Type.Object({ verifier: SealedText }, closed))

/** The groups, of those that Varve knows, that the directory or provider showed at a login. */
export const UserGroupsChanged = eventType('UserGroupsChanged', Type.Object({ from: Type.Array(Uuid), to: Type.Array(Uuid) }, closed))

export const userEvents = [PasswordChanged, CliSecretChanged, UserGroupsChanged] as const

/** Of one user. */
export type UserFact = FactOf<(typeof userEvents)[number]>

/** What is said of a person, as it stands sealed in events. `external` is what the directory (a DN) or provider (a subject) calls them. */
export type Person = {
  readonly name: string
  readonly email?: string
  readonly realName?: string
  readonly comment?: string
  readonly external?: string
}
