import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createLdapDirectory } from '../../../src/identity/ldap/directory.ts'
import type { LdapDirectory } from '../../../src/identity/ldap/directory.ts'
import type { LdapSettings } from '../../../src/identity/ldap/settings.ts'
import { one } from '../../support/certificates.ts'
import { startLdapProxy } from '../../support/ldap-proxy.ts'
import type { LdapProxy, LdapRequest } from '../../support/ldap-proxy.ts'
import { hasSlapd, limitedAccount, searchAccount, startSlapd, SUFFIX } from '../../support/slapd.ts'
import type { Slapd } from '../../support/slapd.ts'

/* What a login reads from an OpenLDAP server, and by how many requests: counted on the wire. */

const PEOPLE = `ou=people,${SUFFIX}`
const GROUPS = `ou=groups,${SUFFIX}`

/** A value that LDIF need not quote otherwise, as base64. */
const encoded = (text: string): string => Buffer.from(text).toString('base64')
/** Every character as the byte that it is, as RFC 4514 allows. */
const escaped = (text: string): string => [...Buffer.from(text)].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')

const unit = (dn: string): string => `dn: ${dn}\nobjectClass: organizationalUnit\n`

function person(name: string, more: readonly string[] = [], parent = PEOPLE): string {
  const lines = [
    'objectClass: inetOrgPerson',
    `uid:: ${encoded(name)}`,
    `cn:: ${encoded(`Person ${name}`)}`,
    'sn: Person',
    `userPassword:: ${encoded(`pw-${name}`)}`,
    ...more,
  ]
  return `dn: uid=${escaped(name)},${parent}\n${lines.join('\n')}\n`
}

const dnOf = (name: string, parent = PEOPLE): string => `uid=${escaped(name)},${parent}`
const groupDn = (name: string): string => `cn=${name},${GROUPS}`

function group(name: string, members: readonly string[], more: readonly string[] = [], parent = GROUPS): string {
  const lines = [`dn: cn=${name},${parent}`, 'objectClass: groupOfNames', `cn: ${name}`, ...members.map((dn) => `member: ${dn}`), ...more]
  return `${lines.join('\n')}\n`
}

const HOSTILE = 'ann (a)*,\\b+é="x"'
const MANY = Array.from({ length: 500 }, (_, index) => `many-${String(index).padStart(3, '0')}`)

/** More groups than a page holds. */
const PAGED = `ou=paged,${SUFFIX}`

const LDIF = [
  ...['people', 'groups', 'elsewhere'].map((name) => unit(`ou=${name},${SUFFIX}`)),
  unit(`ou=one,${PEOPLE}`),
  unit(`ou=two,${PEOPLE}`),
  person('alice', ['mail: alice@example.test', 'displayName: Alice Adams']),
  person('bob'),
  person('carol'),
  person('dave', [`memberOf: ${groupDn('dynamic')}`, `memberOf: cn=outside,ou=elsewhere,${SUFFIX}`]),
  person(HOSTILE),
  person('twin', [], `ou=one,${PEOPLE}`),
  person('twin', [], `ou=two,${PEOPLE}`),
  person('guest', ['description: may not log in']),
  person('mallory', [], `ou=elsewhere,${SUFFIX}`),
  // A chain that closes on itself.
  group('team', [dnOf('alice'), groupDn('company')]),
  group('department', [groupDn('team'), dnOf('bob')]),
  group('company', [groupDn('department')]),
  `dn: ${groupDn('unique')}\nobjectClass: groupOfUniqueNames\ncn: unique\nuniqueMember: ${groupDn('team')}\n`,
  `dn: ${groupDn('posix')}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 1\nmemberUid: alice\n`,
  group('hidden', [dnOf('alice')], ['description: hidden']),
  group('dynamic', [dnOf('bob')]),
  `dn: cn=a\\, \\2b (c)*,${GROUPS}\nobjectClass: groupOfNames\ncn: a, + (c)*\nmember: ${dnOf(HOSTILE)}\n`,
  unit(PAGED),
  person('erin', [], PAGED),
  ...Array.from({ length: 1001 }, (_, index) => group(`paged-${index}`, [dnOf('erin', PAGED)], [], PAGED)),
  ...MANY.map((name) => group(name, [dnOf('carol')])),
].join('\n')

let slapd: Slapd
let proxy: LdapProxy
const open = new Set<LdapDirectory>()

const settings = (changed: Partial<LdapSettings> = {}): LdapSettings => ({
  url: `ldap://127.0.0.1:${proxy.port}`,
  startTls: false,
  verifyCertificate: true,
  searchDn: searchAccount.dn,
  searchPassword: searchAccount.password,
  baseDn: PEOPLE,
  filter: '(&(objectClass=inetOrgPerson)(!(description=*)))',
  uid: 'uid',
  scope: 'sub',
  groupBaseDn: GROUPS,
  groupFilter: '(!(description=hidden))',
  groupNameAttribute: 'cn',
  groupScope: 'sub',
  groupAdminDn: '',
  groupMembershipAttribute: 'memberof',
  nestedGroups: true,
  timeoutMs: 20_000,
  connections: 4,
  ...changed,
})

function directory(changed: Partial<LdapSettings> = {}): LdapDirectory {
  const opened = createLdapDirectory(settings(changed))
  open.add(opened)
  return opened
}

const searches = (requests: readonly LdapRequest[], base: string): number =>
  requests.filter((request) => request.kind === 'search' && request.base === base).length
const kinds = (requests: readonly LdapRequest[]): string[] => requests.map(({ kind }) => kind)

/** What a login answered, with its groups in order. */
async function login(changed: Partial<LdapSettings>, name: string, password = `pw-${name}`): Promise<string[]> {
  const answer = await directory(changed).authenticate(name, password)
  if (answer.status !== 'authenticated') throw new Error(JSON.stringify(answer))
  return answer.groups.map((each) => each.name).sort()
}

const describeWithSlapd = hasSlapd ? describe : describe.skip

describeWithSlapd('a login at an OpenLDAP server', () => {
  beforeAll(async () => {
    slapd = await startSlapd(LDIF, one)
    proxy = await startLdapProxy({ host: '127.0.0.1', port: slapd.port })
  })

  afterAll(async () => {
    for (const each of open) each.close()
    proxy.stop()
    await slapd.stop()
  })

  beforeEach(async () => {
    await proxy.take()
  })

  it('answers who it is', async () => {
    const answer = await directory({ nestedGroups: false }).authenticate('ALICE', 'pw-alice')
    expect(answer).toEqual({
      status: 'authenticated',
      dn: `uid=alice,${PEOPLE}`,
      name: 'alice',
      email: 'alice@example.test',
      realName: 'Alice Adams',
      groups: [
        { dn: groupDn('team'), name: 'team' },
        { dn: groupDn('posix'), name: 'posix' },
      ],
      administrator: false,
    })
  })

  it('follows groups in groups, through a circle and kinds of groups, by one search a level', async () => {
    expect(await login({}, 'alice')).toEqual(['company', 'department', 'posix', 'team', 'unique'])
    // alice's own; team's: department, unique; department's: company; company's: team, which is known.
    expect(searches(await proxy.take(), GROUPS)).toBe(4)
    expect(await login({}, 'bob')).toEqual(['company', 'department', 'dynamic', 'team', 'unique'])
  })

  it('reads 500 groups of one user by one search', async () => {
    expect(await login({ nestedGroups: false }, 'carol')).toEqual(MANY)
    const flat = await proxy.take()
    expect(searches(flat, GROUPS)).toBe(1)
    // The root says what kind of server it is; then the user's entry, and the groups.
    expect(kinds(flat).filter((kind) => kind === 'search')).toHaveLength(3)
    // One level up there is none: a search more, however many groups it asks for.
    expect(await login({}, 'carol')).toEqual(MANY)
    const nested = await proxy.take()
    expect(searches(nested, GROUPS)).toBe(2)
    // slapd reads no more than 262,143 bytes of a request from a client that is nobody in particular.
    expect(Math.max(...nested.map((request) => (request.kind === 'search' ? request.bytes : 0)))).toBeLessThan(262_143)
  })

  it('asks a server once what kind it is', async () => {
    const known = directory()
    await known.authenticate('bob', 'pw-bob')
    await known.authenticate('bob', 'pw-bob')
    expect(searches(await proxy.take(), '')).toBe(1)
  })

  it("takes the groups that the user's entry names, and no others from elsewhere", async () => {
    expect(await login({ nestedGroups: false }, 'dave')).toEqual(['dynamic'])
    expect(searches(await proxy.take(), GROUPS)).toBe(1)
    expect(await login({ nestedGroups: false, groupMembershipAttribute: '' }, 'dave')).toEqual([])
  })

  it.each([
    ['a group that holds a group', 'alice', groupDn('company'), true],
    ['another spelling', 'alice', `CN = Comp\\61ny , OU=Groups,dc=EXAMPLE,dc=test`, true],
    ['a group that only the entry names', 'dave', `cn=outside,ou=elsewhere,${SUFFIX}`, true],
    ['a group that it is not in', 'alice', groupDn('dynamic'), false],
    ['a group that the filter excludes', 'alice', groupDn('hidden'), false],
    ['none', 'alice', '', false],
    ['no name', 'alice', 'company', false],
  ])('makes an administrator by %s', async (_, name, groupAdminDn, administrator) => {
    expect(await directory({ groupAdminDn }).authenticate(name, `pw-${name}`)).toMatchObject({ status: 'authenticated', administrator })
  })

  it('has no groups without a base DN for them', async () => {
    expect(await login({ groupBaseDn: '' }, 'alice')).toEqual([])
    expect((await proxy.take()).filter((request) => request.kind === 'search')).toHaveLength(2)
  })

  it.each([
    ['base', `uid=alice,${PEOPLE}`, ['alice']],
    ['one', PEOPLE, ['alice', 'bob']],
    ['sub', SUFFIX, ['alice', 'bob', 'mallory']],
  ] as const)('looks as far as the scope %s says', async (scope, baseDn, names) => {
    const answers = ['alice', 'bob', 'mallory'].map(async (name) => directory({ scope, baseDn }).authenticate(name, `pw-${name}`))
    const found = (await Promise.all(answers)).flatMap((answer) => (answer.status === 'authenticated' ? [answer.name] : []))
    expect(found).toEqual(names)
  })

  it('takes a name of any characters', async () => {
    expect(await login({}, HOSTILE)).toEqual(['a, + (c)*'])
    const answer = await directory().authenticate(HOSTILE, `pw-${HOSTILE}`)
    expect(answer).toMatchObject({ status: 'authenticated', name: HOSTILE })
    if (answer.status === 'authenticated') expect(await directory().groupsOf(answer)).toEqual({ ...answer, status: 'found' })
  })

  it.each([
    '*',
    'al*',
    'alice)(uid=*',
    'alice)(|(uid=*)',
    '*)(objectClass=*',
    '\\61lice',
    'alice\0',
    `uid=alice,${PEOPLE}`,
    'alice,ou=people',
    'ann (a)*',
    '(',
    ')',
    '\\',
    '\ud800',
  ])('reads no filter in the name %j', async (name) => {
    expect(await directory({ filter: '' }).authenticate(name, 'pw-alice')).toEqual({ status: 'refused', reason: 'unknown name' })
  })

  it('refuses an empty name or password before it asks anybody', async () => {
    expect(await directory().authenticate('', 'pw')).toEqual({ status: 'refused', reason: 'no name' })
    expect(await directory().authenticate('alice', '')).toEqual({ status: 'refused', reason: 'no password' })
    expect(await proxy.take()).toEqual([])
  })

  it('refuses a name that two entries have', async () => {
    expect(await directory().authenticate('twin', 'pw-twin')).toEqual({ status: 'refused', reason: 'several entries' })
  })

  it('asks the same of the directory for an unknown name, a wrong password and a name that is excluded', async () => {
    const wrong = directory()
    await wrong.ping()
    const asked: string[][] = []
    const reasons: unknown[] = []
    for (const name of ['alice', 'nobody', 'guest', 'twin']) {
      await proxy.take()
      reasons.push(await wrong.authenticate(name, 'wrong'))
      asked.push(kinds(await proxy.take()))
    }
    expect(reasons).toEqual(
      ['wrong password', 'unknown name', 'unknown name', 'several entries'].map((reason) => ({ status: 'refused', reason })),
    )
    expect(asked).toEqual(Array(4).fill(['bind', 'search', 'bind', 'unbind']))
  })

  it('reads groups as the search account', async () => {
    // Users may read nothing here.
    await login({}, 'bob')
    const binds = (await proxy.take()).flatMap((request) => (request.kind === 'bind' ? [request.dn] : []))
    expect(binds).toEqual([searchAccount.dn, `uid=bob,${PEOPLE}`, searchAccount.dn])
  })

  it('reads a user again, who may be gone meanwhile', async () => {
    const again = directory()
    expect(await again.groupsOf({ dn: dnOf('bob'), name: 'bob' })).toMatchObject({ status: 'found', name: 'bob', administrator: false })
    expect(await again.groupsOf({ dn: dnOf('gone'), name: 'gone' })).toEqual({ status: 'refused', reason: 'unknown name' })
    expect(await again.groupsOf({ dn: dnOf('guest'), name: 'guest' })).toEqual({ status: 'refused', reason: 'unknown name' })
    expect(await again.groupsOf({ dn: dnOf('mallory', `ou=elsewhere,${SUFFIX}`), name: 'mallory' })).toEqual({ status: 'refused', reason: 'unknown name' })
    expect(await again.groupsOf({ dn: 'no name', name: 'bob' })).toEqual({ status: 'refused', reason: 'unknown name' })
  })

  it('finds people and groups', async () => {
    const finding = directory()
    const people = async (text: string) => {
      const answer = await finding.searchUsers(text)
      return answer.status === 'found' ? answer.users.map(({ name }) => name).sort() : answer
    }
    expect(await people('lic')).toEqual(['alice'])
    expect(await people('Adams')).toEqual(['alice'])
    expect(await people('@example')).toEqual(['alice'])
    expect(await people('*')).toEqual([HOSTILE])
    expect(await people('')).toEqual(['alice', HOSTILE, 'bob', 'carol', 'dave', 'twin', 'twin'].sort())
    const groups = async (which: { name: string } | { dn: string }) => {
      const answer = await finding.searchGroups(which)
      return answer.status === 'found' ? answer.groups.map(({ name }) => name).sort() : answer
    }
    expect(await groups({ name: 'tea' })).toEqual(['team'])
    expect(await groups({ name: '(c)*' })).toEqual(['a, + (c)*'])
    expect(await groups({ name: 'hidden' })).toEqual([])
    expect(await groups({ name: 'many' })).toHaveLength(100)
    expect(await groups({ dn: groupDn('team').toUpperCase() })).toEqual(['team'])
    expect(await groups({ dn: groupDn('hidden') })).toEqual([])
    expect(await groups({ dn: PEOPLE })).toEqual([])
    expect(await groups({ dn: '*' })).toEqual([])
  })

  it('searches as nobody where no account is set', async () => {
    // This server shows nobody anything: the base is not there for it.
    expect(await directory({ searchDn: '', searchPassword: '' }).authenticate('alice', 'pw-alice')).toMatchObject({
      status: 'unavailable',
      reason: 'base DN unknown',
    })
    expect((await proxy.take())[0]).toEqual({ kind: 'bind', dn: '' })
  })

  it('has many log in over few connections, and leaves none open', async () => {
    const few = directory({ connections: 2 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => few.authenticate('bob', 'pw-bob')))
    expect(answers.filter(({ status }) => status === 'authenticated')).toHaveLength(20)
    // It waits until none is left.
    expect(kinds(await proxy.take()).filter((kind) => kind === 'unbind')).toHaveLength(20)
  })

  it('reads more groups than a page holds', async () => {
    expect(await login({ nestedGroups: false, baseDn: dnOf('erin', PAGED), groupBaseDn: PAGED }, 'erin')).toHaveLength(1001)
    expect(searches(await proxy.take(), PAGED)).toBe(2)
  })

  it('takes no part of the groups for all', async () => {
    const limited = directory({
      searchDn: limitedAccount.dn,
      searchPassword: limitedAccount.password,
      nestedGroups: false,
      baseDn: PAGED,
      groupBaseDn: PAGED,
    })
    expect(await limited.authenticate('erin', 'pw-erin')).toEqual({
      status: 'unavailable',
      reason: 'search refused',
      detail: 'LDAP result 4',
    })
  })

  it('reads the bytes that a filter names', async () => {
    expect(await login({ filter: '(uid=ann \\28a\\29\\2a,\\5cb+\\c3\\a9="x")' }, HOSTILE)).toEqual(['a, + (c)*'])
  })

  it.each<[Partial<LdapSettings>, string, string]>([
    [{ searchPassword: 'wrong' }, 'search account refused', 'LDAP result 49'],
    [{ searchPassword: '' }, 'search account refused', 'no password'],
    [{ searchDn: 'no name' }, 'search account refused', 'LDAP result 34'],
    [{ baseDn: `ou=none,${SUFFIX}` }, 'base DN unknown', 'LDAP result 32'],
    [{ baseDn: 'no name' }, 'base DN unknown', 'LDAP result 34'],
    [{ groupBaseDn: `ou=none,${SUFFIX}` }, 'group base DN unknown', 'LDAP result 32'],
  ])('says of %j what is wrong', async (changed, reason, detail) => {
    expect(await directory(changed).ping()).toEqual({ status: 'unavailable', reason, detail })
    expect(await directory(changed).authenticate('alice', 'pw-alice')).toEqual({ status: 'unavailable', reason, detail })
  })

  it.each<[Partial<LdapSettings>, string]>([
    [{ filter: '(uid=*' }, 'filter not valid'],
    [{ groupFilter: 'nothing' }, 'group filter not valid'],
    [{ url: 'http://127.0.0.1' }, 'URL not valid'],
    [{ url: 'ldap:' }, 'URL not valid'],
  ])('says of %j what is wrong', async (changed, reason) => {
    expect(await directory(changed).ping()).toEqual({ status: 'unavailable', reason })
    expect(await directory(changed).authenticate('alice', 'pw-alice')).toEqual({ status: 'unavailable', reason })
  })

  it('answers a ping', async () => {
    expect(await directory().ping()).toEqual({ status: 'reachable', activeDirectory: false })
  })
})
