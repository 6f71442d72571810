import type { UserRows } from '../../ports/decision-rows.ts'
import type { Event } from '../../ports/event.ts'
import type { Sealed } from '../../ports/key-store.ts'
import { folded } from '../../ports/same-name.ts'
import { reject } from '../rejection.ts'
import type { Rejection } from '../rejection.ts'
import {
  AdministratorGranted, AdministratorRevoked, AuditorGranted, AuditorRevoked, PersonChanged, SubjectForgotten, UserCreated, UserDeleted,
} from './events.ts'
import type { Person, UsersFact } from './events.ts'

/** What is said of a person, to compare, and to write. */
export type PersonalData = { readonly clear: Person; readonly sealed: Sealed }

export type UsersCommand =
  | {
      readonly type: 'CreateUser'
      readonly user: string
      readonly person: PersonalData
      readonly source: 'local' | 'ldap' | 'oidc'
      readonly verifier?: Sealed
      readonly administrator: boolean
    }
  /** `moved`: the directory has another entry for the name. */
  | { readonly type: 'ChangePerson'; readonly user: string; readonly person: PersonalData; readonly moved?: true }
  | { readonly type: 'DeleteUser'; readonly user: string }
  /** Once their key is destroyed, and those of `shared`: callers without a login who were seen at an address of theirs. */
  | { readonly type: 'ForgetUser'; readonly user: string; readonly shared: readonly string[] }
  | { readonly type: 'SetAdministrator'; readonly user: string; readonly administrator: boolean; readonly directory?: true }
  | { readonly type: 'SetAuditor'; readonly user: string; readonly auditor: boolean }

/** A user that a command names, or that has the name or address that it gives. */
export type KnownUser = UserRows & {
  /** Opened; undefined where they were forgotten. */
  readonly person: Person | undefined
}

/** The set of users, as far as one command goes. */
export type UsersState = {
  readonly revision: number
  readonly lastNumber: number
  readonly users: ReadonlyMap<string, KnownUser>
  readonly administrators: ReadonlySet<string>
}

/** `opened`: what the event says of a person, opened. */
export function evolve(state: UsersState, event: Event<UsersFact>, opened: Person | undefined): UsersState {
  const next = { ...state, revision: state.revision + 1 }
  const { user } = event.data
  const change = (changes: Partial<KnownUser>): UsersState => {
    const known = state.users.get(user)
    return known === undefined ? next : { ...next, users: new Map([...state.users, [user, { ...known, ...changes }]]) }
  }
  const withAdministrator = (there: boolean): ReadonlySet<string> => {
    const others = [...state.administrators].filter((id) => id !== user)
    return new Set(there ? [...others, user] : others)
  }
  switch (event.type) {
    case 'UserCreated': {
      const { number, administrator, person } = event.data
      const created = { id: user, live: true, forgotten: false, administrator, auditor: false, sealed: person, person: opened }
      const administrators = withAdministrator(administrator)
      return { ...next, lastNumber: number, users: new Map([...state.users, [user, created]]), administrators }
    }
    case 'PersonChanged': {
      // One that no row named may take, between the rows and now, the very name or address that the command gives.
      const known = state.users.get(user) ?? { id: user, live: true, forgotten: false, administrator: state.administrators.has(user), auditor: false }
      return { ...next, users: new Map([...state.users, [user, { ...known, sealed: event.data.to, person: opened }]]) }
    }
    case 'UserDeleted':
      return { ...change({ live: false, administrator: false, auditor: false }), administrators: withAdministrator(false) }
    case 'SubjectForgotten':
      return { ...change({ live: false, forgotten: true, administrator: false, auditor: false, person: undefined }), administrators: withAdministrator(false) }
    case 'AdministratorGranted':
      return { ...change({ administrator: true }), administrators: withAdministrator(true) }
    case 'AdministratorRevoked':
      return { ...change({ administrator: false }), administrators: withAdministrator(false) }
    case 'AuditorGranted':
      return change({ auditor: true })
    case 'AuditorRevoked':
      return change({ auditor: false })
  }
}

export function decide(state: UsersState, command: UsersCommand): readonly UsersFact[] | Rejection {
  const user = state.users.get(command.user)
  if (command.type === 'CreateUser') {
    const { person, source, verifier, administrator } = command
    return (
      takenBy(state, command.user, person.clear, source) ?? [
        UserCreated({
          user: command.user, number: state.lastNumber + 1, source, person: person.sealed, administrator,
          ...(verifier === undefined ? {} : { verifier }),
        }),
      ]
    )
  }
  if (command.type === 'ForgetUser') {
    if (user === undefined) return unknownUser
    if (user.forgotten) return []
    const { shared } = command
    return lastAdministrator(state, user) ?? [SubjectForgotten({ user: user.id, ...(shared.length === 0 ? {} : { shared: [...shared] }) })]
  }
  if (user?.live !== true) return unknownUser
  switch (command.type) {
    case 'ChangePerson':
      if (sameText(user.person) === sameText(command.person.clear)) return []
      return (
        takenBy(state, user.id, command.person.clear) ?? [
          PersonChanged({ user: user.id, from: user.sealed, to: command.person.sealed, ...(command.moved === undefined ? {} : { moved: command.moved }) }),
        ]
      )
    case 'DeleteUser':
      return lastAdministrator(state, user) ?? [UserDeleted({ user: user.id })]
    case 'SetAdministrator':
      if (user.administrator === command.administrator) return []
      if (!command.administrator) return lastAdministrator(state, user) ?? [AdministratorRevoked({ user: user.id })]
      return [AdministratorGranted({ user: user.id, ...(command.directory === undefined ? {} : { directory: command.directory }) })]
    case 'SetAuditor':
      if (user.auditor === command.auditor) return []
      return [(command.auditor ? AuditorGranted : AuditorRevoked)({ user: user.id })]
  }
}

const unknownUser = reject('NOT_FOUND', 'there is no such user')

/** A provider's subject is one person; a directory's DN may come to be another's. */
function takenBy(state: UsersState, user: string, { name, email, external }: Person, source?: 'local' | 'ldap' | 'oidc'): Rejection | undefined {
  for (const other of state.users.values()) {
    if (other.id === user || !other.live || other.person === undefined) continue
    if (source === 'oidc' && other.person.external === external) return reject('CONFLICT', 'this subject of the provider is a user already')
    if (folded(other.person.name) === folded(name)) return reject('CONFLICT', 'a user of this name is there')
    if (email !== undefined && other.person.email !== undefined && folded(other.person.email) === folded(email)) {
      return reject('CONFLICT', 'a user of this mail address is there')
    }
  }
  return undefined
}

/** A registry without an administrator could be helped by nobody. */
function lastAdministrator({ administrators }: UsersState, { id }: KnownUser): Rejection | undefined {
  return administrators.size === 1 && administrators.has(id) ? reject('PRECONDITION', 'this is the last administrator: make another one first') : undefined
}

function sameText(person: Person | undefined): string | undefined {
  return person && JSON.stringify([person.name, person.email, person.realName, person.comment, person.external])
}
