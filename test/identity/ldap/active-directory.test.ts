import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { createLdapDirectory } from '../../../src/identity/ldap/directory.ts'
import type { LdapDirectory } from '../../../src/identity/ldap/directory.ts'
import type { LdapSettings } from '../../../src/identity/ldap/settings.ts'
import { describeLoginAtTheDoors } from '../../api/active-directory-login.ts'
import {
  administrator,
  DOMAIN,
  ENABLED,
  groupEntry,
  hasActiveDirectory,
  passwordOf,
  startActiveDirectory,
  unitEntry,
  userEntry,
} from '../../support/active-directory.ts'
import type { ActiveDirectory } from '../../support/active-directory.ts'
import { one } from '../../support/certificates.ts'
import { startLdapProxy } from '../../support/ldap-proxy.ts'
import type { LdapProxy, LdapRequest } from '../../support/ldap-proxy.ts'

/*
 * Logins at a real Active Directory domain controller (Samba's), by themselves, their requests counted on the wire, and at Varve's doors:
 * in one file, as it takes long to start.
 */

jest.setTimeout(180_000)

const PEOPLE = `OU=People,${DOMAIN}`
const GROUPS = `OU=Groups,${DOMAIN}`
const OTHERS = `OU=Others,${DOMAIN}`
const MEMBERS = 1600
const OTHER_GROUPS = ['o1', 'o2', 'o3', 'o4', 'o5'] as const

const userDn = (name: string): string => `CN=${name},${PEOPLE}`
const groupDn = (name: string, parent = GROUPS): string => `CN=${name},${parent}`

const user = (name: string, more: readonly string[], principal?: string): string => userEntry(PEOPLE, name, more, principal)
const group = (name: string, members: readonly string[], parent = GROUPS): string => groupEntry(parent, name, members)

const contacts = Array.from({ length: MEMBERS }, (_, index) => `CN=c${index},${PEOPLE}`)

const LDIF = [
  ...[PEOPLE, GROUPS, OTHERS].map(unitEntry),
  user('alice', [ENABLED, 'mail: alice@example.test', 'displayName: Alice Adams']),
  user('bob', [ENABLED]),
  user('carol', [ENABLED], 'caroline@ad.example.test'),
  user('erin', [ENABLED]),
  user('disabled', ['userAccountControl: 514']),
  // 2009-10-13.
  user('expired', [ENABLED, 'accountExpires: 129000000000000000']),
  user('later', [ENABLED, 'accountExpires: 200000000000000000']),
  user('never', [ENABLED, 'accountExpires: 0']),
  user('renew', [ENABLED, 'pwdLastSet: 0']),
  user('locked', [ENABLED]),
  ...contacts.map((dn) => `dn: ${dn}\nobjectClass: contact\n`),
  group('team', [userDn('alice')]),
  group('department', [groupDn('team')]),
  group('company', [groupDn('department')]),
  group('staff', [userDn('bob')]),
  group('everybody', [groupDn('staff')]),
  // Added last, it is none of the first 1,500 that a list of members begins with.
  group('large', [...contacts, userDn('alice')]),
  ...OTHER_GROUPS.map((name) => group(name, [userDn('erin')], OTHERS)),
  `dn: ${groupDn('team')}\nchangetype: modify\nadd: member\nmember: ${groupDn('company')}\n`,
].join('\n')

let controller: ActiveDirectory
let proxy: LdapProxy
let tlsProxy: LdapProxy
const open = new Set<LdapDirectory>()

;(hasActiveDirectory ? describe : describe.skip)('a domain controller', () => {
  beforeAll(async () => {
    controller = await startActiveDirectory(one)
  })

  afterAll(async () => {
    await controller.stop()
  })

  describe('that is asked alone', describeDirectory)
  describeLoginAtTheDoors(() => controller)
})

function describeDirectory(): void {
  beforeAll(async () => {
    await controller.modify(LDIF)
    await controller.makePrimary(groupDn('staff'), userDn('bob'))
    proxy = await startLdapProxy({ host: controller.host, port: 389 })
    tlsProxy = await startLdapProxy({ host: controller.host, port: 636 })
  })

  afterAll(() => {
    for (const each of open) each.close()
    proxy.stop()
    tlsProxy.stop()
  })

  beforeEach(async () => {
    await proxy.take()
  })

  function directory(changed: Partial<LdapSettings> = {}): LdapDirectory {
    const opened = createLdapDirectory({
      url: `ldap://127.0.0.1:${proxy.port}`,
      startTls: false,
      verifyCertificate: true,
      certificateAuthorities: one.cert,
      searchDn: administrator.dn,
      searchPassword: administrator.password,
      baseDn: PEOPLE,
      filter: '(objectClass=user)',
      uid: 'sAMAccountName',
      scope: 'sub',
      groupBaseDn: GROUPS,
      groupFilter: '(objectClass=group)',
      groupNameAttribute: 'cn',
      groupScope: 'sub',
      groupAdminDn: '',
      groupMembershipAttribute: 'memberOf',
      nestedGroups: true,
      timeoutMs: 30_000,
      connections: 4,
      ...changed,
    })
    open.add(opened)
    return opened
  }

  /** What a login answered, with its groups in order. */
  async function login(changed: Partial<LdapSettings>, name: string): Promise<string[]> {
    const answer = await directory(changed).authenticate(name, passwordOf(name))
    if (answer.status !== 'authenticated') throw new Error(JSON.stringify(answer))
    return answer.groups.map((each) => each.name).sort()
  }

  it('is known as one', async () => {
    expect(await directory().ping()).toEqual({ status: 'reachable', activeDirectory: true })
  })

  it.each([
    ['alice', 'alice', 'alice'],
    ['ALICE', 'alice', 'alice'],
    ['alice@ad.example.test', 'alice', 'alice'],
    ['Alice@AD.Example.Test', 'alice', 'alice'],
    // Its principal name is another than its account's.
    ['carol', 'carol', 'carol'],
    ['caroline@ad.example.test', 'carol', 'carol'],
  ])('takes the name %s', async (typed, owner, name) => {
    expect(await directory().authenticate(typed, passwordOf(owner))).toMatchObject({ status: 'authenticated', name, dn: userDn(owner) })
    expect(await directory().authenticate(typed, 'wrong')).toEqual({ status: 'refused', reason: 'wrong password' })
  })

  it('answers mail address and real name', async () => {
    expect(await directory().authenticate('alice', passwordOf('alice'))).toMatchObject({
      email: 'alice@example.test',
      realName: 'Alice Adams',
    })
  })

  it.each([
    '*',
    'alice)(cn=*',
    '*@ad.example.test',
    'alice@*',
    'alice@ad.example.test)(cn=*',
    'caroline',
    'nobody@ad.example.test',
    '\\61lice',
  ])('reads no filter in the name %j', async (typed) => {
    expect(await directory().authenticate(typed, passwordOf('alice'))).toEqual({ status: 'refused', reason: 'unknown name' })
  })

  it('follows groups in groups, through a circle, by the search that finds the first', async () => {
    expect(await login({}, 'alice')).toEqual(['company', 'department', 'large', 'team'])
    // The primary group, then all others.
    expect(searches(await proxy.take(), GROUPS)).toBe(2)
    expect(await login({ nestedGroups: false }, 'alice')).toEqual(['large', 'team'])
  })

  it('finds the primary group, and those that hold it', async () => {
    expect(await login({}, 'bob')).toEqual(['everybody', 'staff'])
    expect(searches(await proxy.take(), GROUPS)).toBe(2)
    expect(await login({ nestedGroups: false }, 'bob')).toEqual(['staff'])
    expect(await directory({ groupAdminDn: groupDn('everybody') }).authenticate('bob', passwordOf('bob'))).toMatchObject({
      administrator: true,
    })
    // Domain Users stands elsewhere.
    expect(await login({ groupBaseDn: DOMAIN }, 'alice')).toEqual(['Domain Users', 'Users', 'company', 'department', 'large', 'team'])
  })

  it('finds a member of a group that is too large to be listed at once', async () => {
    expect(await login({ nestedGroups: false, groupMembershipAttribute: '' }, 'alice')).toEqual(['large', 'team'])
  })

  it('follows what a user is a member of, where the directory gives a part at a time', async () => {
    // This controller gives all at once unless it is asked for a part: the proxy asks for parts of two.
    for (const first of [0, 2, 4])
      proxy.rename(first === 0 ? 'memberOf' : `memberOf;range=${first}-*`, `memberOf;range=${first}-${first + 1}`)
    const own = ({ kind, ...more }: LdapRequest): boolean => kind === 'search' && 'base' in more && more.base === userDn('erin')
    for (const name of OTHER_GROUPS) {
      // Whatever stands outside the base is known from the user's entry alone.
      const answer = await directory({ groupAdminDn: groupDn(name, OTHERS) }).authenticate('erin', passwordOf('erin'))
      expect(answer).toMatchObject({ status: 'authenticated', groups: [], administrator: true })
      expect((await proxy.take()).filter(own)).toHaveLength(2)
    }
  })

  it.each([
    ['disabled', 'disabled'],
    ['expired', 'expired'],
    ['renew', 'password-expired'],
  ] as const)('refuses the account %s, and says so to the trail', async (name, reason) => {
    expect(await directory().authenticate(name, passwordOf(name))).toEqual({ status: 'refused', reason })
    // Also where it is read again, without its password.
    expect(await directory().groupsOf({ dn: userDn(name), name })).toEqual({ status: 'refused', reason })
  })

  it.each(['later', 'never'])('takes one that expires %s', async (name) => {
    expect(await login({}, name)).toEqual([])
  })

  it('refuses one that wrong passwords have locked', async () => {
    const locking = directory()
    for (let attempt = 0; attempt < 3; attempt += 1) await locking.authenticate('locked', 'wrong')
    expect(await locking.authenticate('locked', passwordOf('locked'))).toEqual({ status: 'refused', reason: 'locked' })
    expect(await locking.groupsOf({ dn: userDn('locked'), name: 'locked' })).toEqual({ status: 'refused', reason: 'locked' })
  })

  it('reads a user again', async () => {
    const again = directory()
    expect(await again.groupsOf({ dn: userDn('bob'), name: 'bob' })).toMatchObject({ status: 'found', name: 'bob' })
    expect(await again.groupsOf({ dn: userDn('gone'), name: 'gone' })).toEqual({ status: 'refused', reason: 'unknown name' })
  })

  it('finds groups by name and DN, and people', async () => {
    expect(await directory().searchGroups({ name: 'depart' })).toEqual({
      status: 'found',
      groups: [{ dn: groupDn('department'), name: 'department' }],
    })
    expect(await directory().searchGroups({ dn: groupDn('team').toLowerCase() })).toEqual({
      status: 'found',
      groups: [{ dn: groupDn('team'), name: 'team' }],
    })
    expect(await directory().searchUsers('caro')).toEqual({
      status: 'found',
      users: [{ dn: userDn('carol'), name: 'carol', realName: 'carol' }],
    })
  })

  it.each([true, false])('is reached encrypted, StartTLS %j', async (startTls) => {
    const url = startTls ? `ldap://127.0.0.1:${proxy.port}` : `ldaps://127.0.0.1:${tlsProxy.port}`
    expect(await directory({ url, startTls }).authenticate('alice', passwordOf('alice'))).toMatchObject({
      status: 'authenticated',
      name: 'alice',
    })
  })
}

const searches = (requests: readonly LdapRequest[], base: string): number =>
  requests.filter((request) => request.kind === 'search' && request.base === base).length
