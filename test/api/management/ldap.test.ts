import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { askingAs } from '../../support/asking.ts'
import type { Asking } from '../../support/asking.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { SUFFIX, hasSlapd, searchAccount, startSlapd } from '../../support/slapd.ts'
import type { Slapd } from '../../support/slapd.ts'

const PEOPLE = `ou=people,${SUFFIX}`
const GROUPS = `ou=groups,${SUFFIX}`
const LDIF = [
  ...['people', 'groups'].map((name) => `dn: ou=${name},${SUFFIX}\nobjectClass: organizationalUnit\nou: ${name}\n`),
  ...['alice', 'alicia', 'bob', 'admin'].map(
    (name) => `dn: uid=${name},${PEOPLE}\nobjectClass: inetOrgPerson\nuid: ${name}\ncn: ${name}\nsn: ${name}\nmail: ${name}@example.test\nuserPassword: pw-${name}\n`,
  ),
  `dn: cn=developers,${GROUPS}\nobjectClass: groupOfNames\ncn: developers\nmember: uid=alice,${PEOPLE}\n`,
  ...['testers', 'writers', 'readers'].map((name) => `dn: cn=${name},${GROUPS}\nobjectClass: groupOfNames\ncn: ${name}\nmember: uid=bob,${PEOPLE}\n`),
].join('\n')

;(hasSlapd ? describe : describe.skip)('the directory over the management API', () => {
  let slapd: Slapd
  let server: VarveServer
  let admin: Asking
  let settings: Readonly<Record<string, unknown>>

  beforeAll(async () => {
    slapd = await startSlapd(LDIF)
    server = await startVarve()
    admin = askingAs(server)
    settings = {
      ldap_url: `ldap://127.0.0.1:${slapd.port}`, ldap_search_dn: searchAccount.dn, ldap_search_password: searchAccount.password,
      ldap_base_dn: PEOPLE, ldap_uid: 'uid', ldap_group_base_dn: GROUPS, ldap_timeout: 2,
    }
  })
  afterAll(async () => {
    await slapd.stop()
  })

  it('is tried before it is set', async () => {
    const { ldap_url, ldap_search_dn, ldap_search_password, ldap_base_dn } = settings
    const others = { ldap_url, ldap_search_dn, ldap_base_dn, ldap_uid: 'uid', ldap_scope: 2, ldap_connection_timeout: 2 }
    const conf = { ...others, ldap_search_password }
    const ping = async (body?: unknown): Promise<unknown> => (await admin.call('POST', '/ldap/ping', body)).body
    expect(await ping(conf)).toEqual({ success: true, message: '' })
    expect(await ping({ ...conf, ldap_search_password: 'wrong' })).toEqual({ success: false, message: expect.stringContaining('search account refused') })
    expect(await ping({ ...conf, ldap_url: 'ldap://127.0.0.1:1' })).toEqual({ success: false, message: expect.stringContaining('cannot connect') })
    expect(await admin.asked('POST', '/ldap/ping', { ...conf, ldap_url: 'https://127.0.0.1' })).toBe('400 BAD_REQUEST')
    expect(await admin.asked('GET', '/ldap/users/search')).toBe('400 BAD_REQUEST')

    expect(await admin.asked('PUT', '/configurations', { ...settings, auth_mode: 'ldap_auth' })).toBe('200')
    expect(await ping()).toEqual({ success: true, message: '' })
    // The password that is set is kept for the directory and the account that it was set for.
    expect(await ping(others)).toEqual({ success: true, message: '' })
    expect(await ping({ ...others, ldap_url: `ldap://localhost:${slapd.port}` })).toMatchObject({ success: false })
  })

  it('is searched for people and groups', async () => {
    const people = await admin.read<{ username: string }[]>('/ldap/users/search?username=ali')
    expect(people.map(({ username }) => username).sort()).toEqual(['alice', 'alicia'])
    expect(people[0]).toMatchObject({ email: `${people[0]?.username ?? ''}@example.test` })
    const developers = [{ group_name: 'developers', group_type: 1, ldap_group_dn: `cn=developers,${GROUPS}` }]
    expect(await admin.read('/ldap/groups/search?groupname=dev')).toEqual(developers)
    expect(await admin.read(`/ldap/groups/search?groupdn=${encodeURIComponent(`cn=developers,${GROUPS}`)}`)).toEqual(developers)
    expect(await admin.asked('GET', '/ldap/groups/search')).toBe('400 BAD_REQUEST')
    expect(await admin.read('/ldap/users/search?username=*)(uid=*')).toEqual([])
  })

  it('is asked for the group of a DN that is given a role, or made known', async () => {
    await admin.make('/projects', { project_name: 'looked-up' })
    const add = (group: object): Promise<string> => admin.asked('POST', '/projects/looked-up/members', { role_id: 2, member_group: { group_type: 1, ...group } })
    const make = (dn: string): Promise<string> => admin.asked('POST', '/usergroups', { group_name: 'mine', group_type: 1, ldap_group_dn: dn })
    // Not there; a person; elsewhere than where groups are looked for; no DN at all.
    for (const dn of [`cn=nobody,${GROUPS}`, `uid=alice,${PEOPLE}`, SUFFIX, 'developers', '*']) {
      expect([await add({ ldap_group_dn: dn }), await make(dn)]).toEqual(['400 BAD_REQUEST', '400 BAD_REQUEST'])
    }
    expect(await admin.read('/usergroups?group_name=nobody')).toEqual([])
    // Known by the directory's spelling and name, whatever the caller's.
    expect(await add({ ldap_group_dn: `CN = Testers , ${GROUPS.toUpperCase()}` })).toBe('201')
    const testers = { group_name: 'testers', group_type: 1, ldap_group_dn: `cn=testers,${GROUPS}` }
    expect(await admin.read('/usergroups?group_name=test')).toMatchObject([testers])
    expect(await add({ ldap_group_dn: testers.ldap_group_dn })).toBe('409 CONFLICT')
    expect(await make(`cn=TESTERS, ${GROUPS}`)).toBe('409 CONFLICT')
    // A name that is given is kept, as with Harbor.
    expect([await make(`cn=writers, ${GROUPS}`), await add({ ldap_group_dn: `cn=readers,${GROUPS}`, group_name: 'my readers' })]).toEqual(['201', '201'])
    expect(await admin.read('/usergroups?group_name=m')).toMatchObject([
      { group_name: 'mine', ldap_group_dn: `cn=writers,${GROUPS}` },
      { group_name: 'my readers', ldap_group_dn: `cn=readers,${GROUPS}` },
    ])
    expect(await askingAs(server, { name: 'bob', secret: 'pw-bob' }).asked('GET', '/projects/looked-up')).toBe('200')
  })

  it('gives people that are to be known, with their groups, before they log in', async () => {
    expect(await admin.asked('POST', '/ldap/users/import', { ldap_uid_list: ['alice', 'BOB'] })).toBe('200')
    const refused = await admin.call('POST', '/ldap/users/import', { ldap_uid_list: ['ali', 'admin', 'alicia', 'nobody'] })
    expect([refused.status, refused.body]).toEqual([404, [
      { uid: 'ali', error: 'the directory has nobody of this name who may log in' },
      { uid: 'admin', error: 'another user has this name' },
      { uid: 'nobody', error: 'the directory has nobody of this name who may log in' },
    ]])
    const users = await admin.read<{ username: string }[]>('/users')
    expect(users.map(({ username }) => username).sort()).toEqual(['admin', 'alice', 'alicia', 'bob'])
    await admin.make('/projects', { project_name: 'team' })
    await admin.make('/projects/team/members', { role_id: 3, member_group: { ldap_group_dn: `cn=developers,${GROUPS}` } })
    const alice = askingAs(server, { name: 'alice', secret: 'pw-alice' })
    expect(await alice.asked('GET', '/projects/team')).toBe('200')
    for (const path of ['/ldap/users/search?username=a', '/ldap/groups/search?groupname=a']) expect(await alice.asked('GET', path)).toBe('403 FORBIDDEN')
    for (const path of ['/ldap/users/import', '/ldap/ping']) expect(await alice.asked('POST', path, { ldap_uid_list: ['bob'] })).toBe('403 FORBIDDEN')
  })

  it('that is away is told so in words', async () => {
    await slapd.stop()
    const answer = await admin.call('GET', '/ldap/users/search?username=a')
    const away = { errors: [{ code: 'UNAVAILABLE', message: expect.stringMatching(/^the directory cannot be asked: cannot connect/) }] }
    expect([answer.status, answer.body]).toEqual([503, away])
    const member = (dn: string) => admin.call('POST', '/projects/team/members', { role_id: 2, member_group: { ldap_group_dn: dn } })
    const fresh = await member(`cn=fresh,${GROUPS}`)
    expect([fresh.status, fresh.body]).toEqual([503, away])
    expect(await admin.asked('POST', '/usergroups', { group_name: 'fresh', group_type: 1, ldap_group_dn: `cn=fresh,${GROUPS}` })).toBe('503 UNAVAILABLE')
    // One that is known already needs no directory.
    expect((await member(`cn=testers,${GROUPS}`)).status).toBe(201)
  })
})
