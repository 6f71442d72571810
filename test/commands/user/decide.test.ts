import { describe, expect, it } from '@jest/globals'
import { decideUser, evolveUser } from '../../../src/commands/user/aggregate.ts'
import type { UserCommand, UserState } from '../../../src/commands/user/aggregate.ts'
import { decide, evolve } from '../../../src/commands/user/decide.ts'
import type { PersonalData, UsersCommand, UsersState } from '../../../src/commands/user/decide.ts'
import {
  AdministratorGranted, AdministratorRevoked, AuditorGranted, AuditorRevoked, CliSecretChanged, PasswordChanged, PersonChanged, SubjectForgotten, UserCreated, UserDeleted,
  UserGroupsChanged,
} from '../../../src/commands/user/events.ts'
import type { Person, UserFact, UsersFact } from '../../../src/commands/user/events.ts'
import type { Event } from '../../../src/ports/event.ts'
import type { Sealed } from '../../../src/ports/key-store.ts'
import { folded } from '../../../src/ports/same-name.ts'
import { specification } from '../../support/specification.ts'

const [alice, bob] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222']
const [secret, better] = ['verifier' as Sealed, 'better' as Sealed]

/** Sealed so that it can be read. */
function personal(clear: Person): PersonalData {
  return { clear, sealed: Buffer.from(JSON.stringify(clear)).toString('base64url') as Sealed }
}

function opened(event: Event<UsersFact>): Person | undefined {
  const sealed = event.type === 'UserCreated' ? event.data.person : event.type === 'PersonChanged' ? event.data.to : undefined
  return sealed === undefined ? undefined : (JSON.parse(Buffer.from(sealed, 'base64url').toString()) as Person)
}

const users = specification<UsersState, UsersCommand, UsersFact>({
  initial: { revision: -1, lastNumber: 0, users: new Map(), administrators: new Set() },
  evolve: (state, event) => evolve(state, event, opened(event)),
  decide,
})

function create(user: string, clear: Person, administrator = false): UsersCommand {
  return { type: 'CreateUser', user, person: personal(clear), source: 'local', verifier: secret, administrator }
}

function created(user: string, number: number, clear: Person, administrator = false) {
  return UserCreated({ user, number, source: 'local', person: personal(clear).sealed, verifier: secret, administrator })
}

const admin = created(alice, 1, { name: 'alice', email: 'alice@example.org' }, true)
const other = created(bob, 2, { name: 'bob' })

describe('creating a user', () => {
  it('gives the first the number 1, and the next the next, whoever is gone', () => {
    users.given().when(create(alice, { name: 'alice' })).then(created(alice, 1, { name: 'alice' }))
    users.given(admin, other, UserDeleted({ user: bob })).when(create('33333333-3333-4333-8333-333333333333', { name: 'bob' }))
      .then(created('33333333-3333-4333-8333-333333333333', 3, { name: 'bob' }))
  })

  it("of a provider's subject makes them once, under whatever name", () => {
    const external = 'https://provider.test 42'
    const sealed = (name: string): PersonalData => personal({ name, external })
    const first = UserCreated({ user: bob, number: 2, source: 'oidc', person: sealed('bob').sealed, administrator: false })
    const again = { type: 'CreateUser', user: '33333333-3333-4333-8333-333333333333', person: sealed('bobby'), administrator: false } as const
    users.given(admin, first).when({ ...again, source: 'oidc' }).thenRefused('CONFLICT')
    // A directory's name for somebody may come to be another's.
    users.given(admin, first).when({ ...again, source: 'ldap' }).then(UserCreated({ user: again.user, number: 3, source: 'ldap', person: again.person.sealed, administrator: false }))
  })

  it('of a directory keeps no verifier', () => {
    const person = personal({ name: 'alice', external: 'uid=alice,dc=example,dc=org' })
    users.given().when({ type: 'CreateUser', user: alice, person, source: 'ldap', administrator: false })
      .then(UserCreated({ user: alice, number: 1, source: 'ldap', person: person.sealed, administrator: false }))
  })

  it.each([
    ['alice', 'ALICE'], ['alice', 'ａｌｉｃｅ'], ['Ｋelvin', '\u212Aelvin'], ['Ève', 'e\u0300ve'], ['ﬁona', 'FIONA'], ['李雷', '李雷'], ['x²', 'X2'],
  ])('is refused where %s is taken for %s', (taken, asked) => {
    expect(folded(taken)).toBe(folded(asked))
    users.given(created(alice, 1, { name: taken })).when(create(bob, { name: asked })).thenRefused('CONFLICT')
  })

  it.each([['alice', 'alice2'], ['eve', 'ève'], ['alice', 'аlice']])('takes %s for another than %s', (taken, asked) => {
    users.given(created(alice, 1, { name: taken })).when(create(bob, { name: asked })).then(created(bob, 2, { name: asked }))
  })

  it('is refused under an address that is taken, in whatever case', () => {
    users.given(admin).when(create(bob, { name: 'bob', email: 'Alice@Example.ORG' })).thenRefused('CONFLICT')
    users.given(admin).when(create(bob, { name: 'bob', email: 'bob@example.org' })).then(created(bob, 2, { name: 'bob', email: 'bob@example.org' }))
    users.given(created(alice, 1, { name: 'alice' })).when(create(bob, { name: 'bob' })).then(created(bob, 2, { name: 'bob' }))
  })

  it('takes name and address of one who was deleted or forgotten', () => {
    const same = { name: 'bob', email: 'bob@example.org' }
    for (const ended of [UserDeleted({ user: bob }), SubjectForgotten({ user: bob })]) {
      const id = '33333333-3333-4333-8333-333333333333'
      users.given(admin, created(bob, 2, same), ended).when(create(id, same)).then(created(id, 3, same))
    }
  })

  it('takes a name that was given up, and not the one that was taken for it', () => {
    const renamed = PersonChanged({ user: bob, from: personal({ name: 'bob' }).sealed, to: personal({ name: 'robert' }).sealed })
    const id = '33333333-3333-4333-8333-333333333333'
    users.given(admin, other, renamed).when(create(id, { name: 'bob' })).then(created(id, 3, { name: 'bob' }))
    users.given(admin, other, renamed).when(create(id, { name: 'Robert' })).thenRefused('CONFLICT')
  })

  it('sees the new name of one whom the rows did not name', () => {
    // What rows of a moment before the change give for the name `robert`: nobody.
    const state: UsersState = { revision: 1, lastNumber: 2, users: new Map(), administrators: new Set([alice]) }
    const behind = specification<UsersState, UsersCommand, UsersFact>({ initial: state, evolve: (before, event) => evolve(before, event, opened(event)), decide })
    const renamed = PersonChanged({ user: bob, from: personal({ name: 'bob' }).sealed, to: personal({ name: 'robert' }).sealed })
    const id = '33333333-3333-4333-8333-333333333333'
    behind.given(renamed).when(create(id, { name: 'robert' })).thenRefused('CONFLICT')
    behind.given(renamed, UserDeleted({ user: bob })).when(create(id, { name: 'robert' })).then(created(id, 3, { name: 'robert' }))
  })
})

describe('changing what is said of a person', () => {
  it('says what was before, sealed, and nothing where it is the same', () => {
    const [from, to] = [personal({ name: 'bob' }), personal({ name: 'Bob', comment: 'of the night shift' })]
    users.given(admin, other).when({ type: 'ChangePerson', user: bob, person: to }).then(PersonChanged({ user: bob, from: from.sealed, to: to.sealed }))
    users.given(admin, other).when({ type: 'ChangePerson', user: bob, person: to, moved: true }).then(PersonChanged({ user: bob, from: from.sealed, to: to.sealed, moved: true }))
    users.given(admin, other).when({ type: 'ChangePerson', user: bob, person: { ...from, sealed: 'sealed-again' as Sealed } }).then()
  })

  it('is refused under another\'s name or address, or of nobody', () => {
    users.given(admin, other).when({ type: 'ChangePerson', user: bob, person: personal({ name: 'Alice' }) }).thenRefused('CONFLICT')
    users.given(admin, other).when({ type: 'ChangePerson', user: bob, person: personal({ name: 'bob', email: 'ALICE@example.org' }) }).thenRefused('CONFLICT')
    users.given(admin).when({ type: 'ChangePerson', user: bob, person: personal({ name: 'bob' }) }).thenRefused('NOT_FOUND')
    users.given(admin, other, UserDeleted({ user: bob })).when({ type: 'ChangePerson', user: bob, person: personal({ name: 'b' }) }).thenRefused('NOT_FOUND')
  })
})

describe('administrators', () => {
  const granted = AdministratorGranted({ user: bob })
  const revoke = (user: string): UsersCommand => ({ type: 'SetAdministrator', user, administrator: false })

  it('are made and unmade, each said once', () => {
    users.given(admin, other).when({ type: 'SetAdministrator', user: bob, administrator: true }).then(granted)
    users.given(admin, other, granted).when({ type: 'SetAdministrator', user: bob, administrator: true }).then()
    users.given(admin, other, granted).when(revoke(bob)).then(AdministratorRevoked({ user: bob }))
    users.given(admin, other).when(revoke(bob)).then()
    users.given(admin).when(revoke(bob)).thenRefused('NOT_FOUND')
  })

  it.each<UsersCommand>([revoke(alice), { type: 'DeleteUser', user: alice }, { type: 'ForgetUser', user: alice, shared: [] }])('keep their last one: $type is refused', (command) => {
    users.given(admin, other).when(command).thenRefused('PRECONDITION')
    users.given(admin, other, granted, AdministratorRevoked({ user: bob })).when(command).thenRefused('PRECONDITION')
    users.given(admin, other, granted, UserDeleted({ user: bob })).when(command).thenRefused('PRECONDITION')
    users.given(admin, other, granted, SubjectForgotten({ user: bob })).when(command).thenRefused('PRECONDITION')
  })

  it('may go where another one stays', () => {
    users.given(admin, other, granted).when(revoke(alice)).then(AdministratorRevoked({ user: alice }))
    users.given(admin, other, granted).when({ type: 'DeleteUser', user: alice }).then(UserDeleted({ user: alice }))
    users.given(admin, other, granted).when({ type: 'ForgetUser', user: alice, shared: [] }).then(SubjectForgotten({ user: alice }))
  })
})

describe('the end of a user', () => {
  it('is said once', () => {
    users.given(admin, other).when({ type: 'DeleteUser', user: bob }).then(UserDeleted({ user: bob }))
    users.given(admin, other, UserDeleted({ user: bob })).when({ type: 'DeleteUser', user: bob }).thenRefused('NOT_FOUND')
  })

  it('may be followed by a forgetting, which is said once', () => {
    users.given(admin, other, UserDeleted({ user: bob })).when({ type: 'ForgetUser', user: bob, shared: [] }).then(SubjectForgotten({ user: bob }))
    users.given(admin, other, SubjectForgotten({ user: bob })).when({ type: 'ForgetUser', user: bob, shared: [] }).then()
    users.given(admin).when({ type: 'ForgetUser', user: bob, shared: [] }).thenRefused('NOT_FOUND')
  })

  it('says whose keys went with the one of a user who is forgotten', () => {
    const shared = ['44444444-4444-4444-8444-444444444444', '55555555-5555-4555-8555-555555555555']
    users.given(admin, other).when({ type: 'ForgetUser', user: bob, shared }).then(SubjectForgotten({ user: bob, shared }))
    users.given(admin, other, SubjectForgotten({ user: bob, shared })).when({ type: 'ForgetUser', user: bob, shared }).then()
  })

  it('takes the auditor with it', () => {
    users.given(admin, other).when({ type: 'SetAuditor', user: bob, auditor: true }).then(AuditorGranted({ user: bob }))
    users.given(admin, other, AuditorGranted({ user: bob })).when({ type: 'SetAuditor', user: bob, auditor: true }).then()
    users.given(admin, other, AuditorGranted({ user: bob })).when({ type: 'SetAuditor', user: bob, auditor: false }).then(AuditorRevoked({ user: bob }))
    users.given(admin, other, UserDeleted({ user: bob })).when({ type: 'SetAuditor', user: bob, auditor: true }).thenRefused('NOT_FOUND')
  })
})

describe('one user', () => {
  const user = specification<UserState, UserCommand, UserFact>({ initial: { revision: -1, groups: [] }, evolve: evolveUser, decide: decideUser })

  it('has passwords and secrets changed, each time', () => {
    user.given().when({ type: 'ChangePassword', verifier: secret }).then(PasswordChanged({ verifier: secret }))
    user.given(PasswordChanged({ verifier: secret })).when({ type: 'ChangePassword', verifier: better, upgraded: true }).then(PasswordChanged({ verifier: better, upgraded: true }))
    user.given().when({ type: 'ChangeCliSecret', verifier: secret }).then(CliSecretChanged({ verifier: secret }))
  })

  it('is in the groups that a login showed, each once and in order, and nothing is said where they are the same', () => {
    const shown = UserGroupsChanged({ from: [], to: [alice, bob] })
    user.given().when({ type: 'ShowGroups', groups: [bob, alice, bob] }).then(shown)
    user.given(shown).when({ type: 'ShowGroups', groups: [bob, alice] }).then()
    user.given(shown).when({ type: 'ShowGroups', groups: [] }).then(UserGroupsChanged({ from: [alice, bob], to: [] }))
    user.given().when({ type: 'ShowGroups', groups: [] }).then()
  })
})
