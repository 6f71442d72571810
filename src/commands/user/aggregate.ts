import type { DecisionRows } from '../../ports/decision-rows.ts'
import type { Event } from '../../ports/event.ts'
import type { Sealed, Sealer } from '../../ports/key-store.ts'
import { folded } from '../../ports/same-name.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import type { Rejection } from '../rejection.ts'
import { decide, evolve } from './decide.ts'
import type { KnownUser, UsersCommand, UsersState } from './decide.ts'
import { CliSecretChanged, PasswordChanged, UserGroupsChanged } from './events.ts'
import type { Person, UserFact, UsersFact } from './events.ts'

/** The set of users: who there is, under unique names and addresses, and who is administrator. */
export function usersAggregate(rows: Pick<DecisionRows, 'users'>, sealer: Sealer): Aggregate<UsersState, UsersCommand, UsersFact, Rejection> {
  return {
    stream: streams.users,
    async load(command) {
      const person = 'person' in command ? command.person.clear : undefined
      const found = await rows.users({ id: command.user, name: person && folded(person.name), email: person?.email && folded(person.email), external: person?.external })
      const known = await Promise.all(found.users.map(async (user): Promise<KnownUser> => ({ ...user, person: await openPerson(sealer, user.sealed) })))
      return { ...found, users: new Map(known.map((user) => [user.id, user])), administrators: new Set(found.administrators) }
    },
    evolve: async (state, event) => evolve(state, event, await openPerson(sealer, sealedIn(event))),
    decide,
  }
}

/** What is said of a person, sealed under their own key. */
export async function sealPerson(sealer: Sealer, user: string, clear: Person): Promise<{ readonly clear: Person; readonly sealed: Sealed }> {
  return { clear, sealed: await sealer.seal(user, JSON.stringify(clear)) }
}

async function openPerson(sealer: Sealer, sealed: Sealed | undefined): Promise<Person | undefined> {
  const clear = sealed === undefined ? undefined : await sealer.open(sealed)
  return clear === undefined ? undefined : (JSON.parse(clear) as Person)
}

function sealedIn(event: Event<UsersFact>): Sealed | undefined {
  if (event.type === 'UserCreated') return event.data.person
  return event.type === 'PersonChanged' ? event.data.to : undefined
}

export type UserCommand =
  | { readonly type: 'ChangePassword'; readonly verifier: Sealed; readonly upgraded?: true }
  | { readonly type: 'ChangeCliSecret'; readonly verifier: Sealed }
  | { readonly type: 'ShowGroups'; readonly groups: readonly string[] }

export type UserState = { readonly revision: number; readonly groups: readonly string[] }

/** One user's own life: secrets, and the groups that were seen. */
export function userAggregate(rows: Pick<DecisionRows, 'user'>, id: string): Aggregate<UserState, UserCommand, UserFact, Rejection> {
  return {
    stream: streams.user(id),
    load: () => rows.user(id),
    evolve: evolveUser,
    decide: decideUser,
  }
}

export function evolveUser(state: UserState, event: Event<UserFact>): UserState {
  return { revision: state.revision + 1, groups: event.type === 'UserGroupsChanged' ? event.data.to : state.groups }
}

export function decideUser(state: UserState, command: UserCommand): readonly UserFact[] {
  switch (command.type) {
    case 'ChangePassword':
      return [PasswordChanged({ verifier: command.verifier, ...(command.upgraded === undefined ? {} : { upgraded: command.upgraded }) })]
    case 'ChangeCliSecret':
      return [CliSecretChanged({ verifier: command.verifier })]
    case 'ShowGroups': {
      const to = [...new Set(command.groups)].sort()
      return to.join() === state.groups.join() ? [] : [UserGroupsChanged({ from: [...state.groups], to })]
    }
  }
}
