import { randomUUID } from 'node:crypto'
import { groupsAggregate } from '../commands/group/aggregate.ts'
import type { CommandContext, Handle } from '../commands/handle.ts'
import { sealPerson, userAggregate, usersAggregate } from '../commands/user/aggregate.ts'
import type { UsersCommand } from '../commands/user/decide.ts'
import type { Person } from '../commands/user/events.ts'
import { isSameDn } from '../identity/ldap/dn.ts'
import type { DecisionRows } from '../ports/decision-rows.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { Position } from '../ports/position.ts'
import { groupKey } from '../ports/same-name.ts'
import type { UserRow } from '../projections/identity-queries.ts'
import type { IdentityReader } from '../projections/identity-reader.ts'

/** Somebody whom a directory or provider let in, and what it says of them. */
export type OutsideUser = {
  readonly source: 'ldap' | 'oidc'
  readonly person: Person
  readonly groups: readonly { readonly name: string; readonly dn?: string }[]
  /** Whether they are in the group of administrators there. */
  readonly administrator: boolean
}

type Parts = {
  readonly identity: IdentityReader
  readonly handle: Handle
  readonly decisionRows: DecisionRows
  readonly visible: (position: Position) => Promise<boolean>
  readonly sealer: Sealer
  readonly context: CommandContext
}

/** Writes down what is new of a user from outside: that there is one, what is said of them, their groups, and whether they are an administrator. */
export function createOutsideUsers({ identity, handle, decisionRows, visible, sealer, context }: Parts) {
  async function seen(position: Position | undefined): Promise<void> {
    if (position !== undefined) await visible(position)
  }

  async function change(command: UsersCommand): Promise<boolean> {
    const { outcome, position } = await handle(usersAggregate(decisionRows, sealer), command, context)
    await seen(position)
    return !('refused' in outcome)
  }

  /** A mail address that somebody else has is left out: it names nobody at a login. */
  async function withPerson(make: (person: Awaited<ReturnType<typeof sealPerson>>) => UsersCommand, user: string, person: Person): Promise<boolean> {
    if (await change(make(await sealPerson(sealer, user, person)))) return true
    const others = Object.fromEntries(Object.entries(person).filter(([what]) => what !== 'email'))
    return change(make(await sealPerson(sealer, user, { ...others, name: person.name })))
  }

  /** The ids of groups, those that were not known among them: one append, however many. */
  async function groupIds(source: OutsideUser['source'], groups: OutsideUser['groups']): Promise<string[]> {
    const named = groups.map(({ name, dn = name }) => (source === 'ldap' ? ({ source, name, dn } as const) : ({ source, name } as const)))
    const keys = named.map(groupKey)
    const known = async () => new Map((await decisionRows.groups({ ids: [], keys })).groups.map(({ id, key }) => [key, id]))
    const before = await known()
    const fresh = named.filter((group) => !before.has(groupKey(group)))
    if (fresh.length > 0) {
      const command = { type: 'CreateGroups', onlyNew: true, groups: fresh.map((group) => ({ id: randomUUID(), ...group })) } as const
      await seen((await handle(groupsAggregate(decisionRows), command, context)).position)
    }
    const after = fresh.length > 0 ? await known() : before
    return keys.map((key) => after.get(key)).filter((id) => id !== undefined)
  }

  return {
    /** `known`: the user of an earlier login. Undefined where another user has the name. */
    async record(user: OutsideUser, known: UserRow | undefined): Promise<UserRow | undefined> {
      const { source, person, groups, administrator } = user
      const id = known?.id ?? randomUUID()
      if (known === undefined) {
        if (!(await withPerson((sealed) => ({ type: 'CreateUser', user: id, source, person: sealed, administrator: false }), id, person))) return undefined
      } else if (known.external !== person.external || known.email !== person.email || known.realName !== person.realName) {
        const { name, comment, external } = known
        const moved = source === 'ldap' && external !== undefined && !isSameDn(external, person.external ?? '') ? { moved: true as const } : {}
        await withPerson((sealed) => ({ type: 'ChangePerson', user: id, person: sealed, ...moved }), id, { ...person, name, ...(comment === undefined ? {} : { comment }) })
      }
      const { position } = await handle(userAggregate(decisionRows, id), { type: 'ShowGroups', groups: await groupIds(source, groups) }, context)
      await seen(position)
      // What an administrator gave by hand, no login takes.
      const isByDirectory = known?.administratorByDirectory ?? false
      if (administrator && known?.administrator !== true) await change({ type: 'SetAdministrator', user: id, administrator, directory: true })
      if (!administrator && isByDirectory) await change({ type: 'SetAdministrator', user: id, administrator })
      return identity.user(id)
    },
  }
}
