import { describe, it } from '@jest/globals'
import { decide, evolve } from '../../../src/commands/group/aggregate.ts'
import type { GroupsCommand, GroupsState, NewGroup } from '../../../src/commands/group/aggregate.ts'
import { GroupCreated, GroupDeleted, GroupRenamed } from '../../../src/commands/group/events.ts'
import type { GroupFact } from '../../../src/commands/group/events.ts'
import { specification } from '../../support/specification.ts'

const [first, second, third] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222', '33333333-3333-4333-8333-333333333333']
const initial: GroupsState = { revision: -1, lastNumber: 0, groups: new Map() }
const groups = specification<GroupsState, GroupsCommand, GroupFact>({ initial, evolve, decide })

const oidc = (id: string, name: string): NewGroup => ({ id, name, source: 'oidc' })
const ldap = (id: string, name: string, dn: string): NewGroup => ({ id, name, source: 'ldap', dn })
const oidcMade = (group: string, number: number, name: string) => GroupCreated({ group, number, name, source: 'oidc' })
const ldapMade = (group: string, number: number, name: string, dn: string) => GroupCreated({ group, number, name, source: 'ldap', dn })

describe('creating groups', () => {
  it('numbers them on', () => {
    groups.given(oidcMade(first, 4, 'a')).when({ type: 'CreateGroups', groups: [oidc(second, 'b'), ldap(third, 'b', 'cn=b')] })
      .then(oidcMade(second, 5, 'b'), ldapMade(third, 6, 'b', 'cn=b'))
  })

  it('is refused where one is there, told by its name or its DN', () => {
    groups.given(oidcMade(first, 1, 'Team')).when({ type: 'CreateGroups', groups: [oidc(second, 'Team')] }).thenRefused('CONFLICT')
    groups.given(ldapMade(first, 1, 'a', 'CN=Team')).when({ type: 'CreateGroups', groups: [ldap(second, 'b', 'cn=team')] }).thenRefused('CONFLICT')
    groups.given(ldapMade(first, 1, 'a', 'cn=a')).when({ type: 'CreateGroups', groups: [ldap(second, 'a', 'cn=b')] }).then(ldapMade(second, 2, 'a', 'cn=b'))
  })

  it('tells a provider\'s groups apart by case and by how their letters are written', () => {
    for (const name of ['team', 'TEAM', 'Ｔeam']) groups.given(oidcMade(first, 1, 'Team')).when({ type: 'CreateGroups', groups: [oidc(second, name)] }).then(oidcMade(second, 2, name))
  })

  it('at a login makes those that are new, each once', () => {
    const shown = [oidc(second, 'a'), oidc(third, 'b'), oidc('44444444-4444-4444-8444-444444444444', 'b')]
    groups.given(oidcMade(first, 1, 'a')).when({ type: 'CreateGroups', groups: shown, onlyNew: true }).then(oidcMade(third, 2, 'b'))
    groups.given(oidcMade(first, 1, 'a')).when({ type: 'CreateGroups', groups: [oidc(second, 'a')], onlyNew: true }).then()
  })

  it('makes anew what was deleted', () => {
    groups.given(oidcMade(first, 1, 'a'), GroupDeleted({ group: first })).when({ type: 'CreateGroups', groups: [oidc(second, 'a')] }).then(oidcMade(second, 2, 'a'))
  })
})

describe('renaming a group', () => {
  const rename = (group: string, name: string): GroupsCommand => ({ type: 'RenameGroup', group, name })

  it('says what it was, and nothing where it is the same', () => {
    groups.given(oidcMade(first, 1, 'a')).when(rename(first, 'b')).then(GroupRenamed({ group: first, source: 'oidc', from: 'a', to: 'b' }))
    groups.given(oidcMade(first, 1, 'a')).when(rename(first, 'A')).then(GroupRenamed({ group: first, source: 'oidc', from: 'a', to: 'A' }))
    groups.given(oidcMade(first, 1, 'a')).when(rename(first, 'a')).then()
    groups.given().when(rename(first, 'a')).thenRefused('NOT_FOUND')
  })

  it('is refused a provider\'s group where another has the name, and not a directory\'s', () => {
    groups.given(oidcMade(first, 1, 'a'), oidcMade(second, 2, 'b')).when(rename(first, 'b')).thenRefused('CONFLICT')
    groups.given(ldapMade(first, 1, 'a', 'cn=a'), oidcMade(second, 2, 'b')).when(rename(first, 'b')).then(GroupRenamed({ group: first, source: 'ldap', from: 'a', to: 'b' }))
  })

  it('frees the old name of a provider\'s group and takes the new one, also where the rows did not name it', () => {
    const renamed = GroupRenamed({ group: first, source: 'oidc', from: 'a', to: 'b' })
    groups.given(oidcMade(first, 1, 'a'), renamed).when({ type: 'CreateGroups', groups: [oidc(second, 'a')] }).then(oidcMade(second, 2, 'a'))
    groups.given(oidcMade(first, 1, 'a'), renamed).when({ type: 'CreateGroups', groups: [oidc(second, 'b')] }).thenRefused('CONFLICT')
    const behind = specification<GroupsState, GroupsCommand, GroupFact>({ initial: { revision: 0, lastNumber: 1, groups: new Map() }, evolve, decide })
    behind.given(renamed).when({ type: 'CreateGroups', groups: [oidc(second, 'b')] }).thenRefused('CONFLICT')
    const directorys = GroupRenamed({ group: first, source: 'ldap', from: 'a', to: 'b' })
    behind.given(directorys).when({ type: 'CreateGroups', groups: [oidc(second, 'b')] }).then(oidcMade(second, 2, 'b'))
  })

  it('leaves a directory\'s group what it is', () => {
    const renamed = GroupRenamed({ group: first, source: 'ldap', from: 'a', to: 'b' })
    groups.given(ldapMade(first, 1, 'a', 'cn=a'), renamed).when({ type: 'CreateGroups', groups: [ldap(second, 'c', 'cn=a')] }).thenRefused('CONFLICT')
  })
})

describe('deleting a group', () => {
  it('ends it, once', () => {
    groups.given(oidcMade(first, 1, 'a')).when({ type: 'DeleteGroup', group: first }).then(GroupDeleted({ group: first }))
    groups.given(oidcMade(first, 1, 'a'), GroupDeleted({ group: first })).when({ type: 'DeleteGroup', group: first }).thenRefused('NOT_FOUND')
  })
})
