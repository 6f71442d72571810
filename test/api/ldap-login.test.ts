import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createLdapLogin } from '../../src/api/ldap-login.ts'
import type { OutsideUser } from '../../src/api/outside-user.ts'
import { SETTINGS } from '../../src/commands/settings/known.ts'
import type { UserRow } from '../../src/projections/identity-queries.ts'
import { fetchToken } from '../support/doors.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { registryClient } from '../support/registry.ts'
import { hasSlapd, searchAccount, startSlapd, SUFFIX } from '../support/slapd.ts'
import type { Slapd } from '../support/slapd.ts'

/* People of a directory at Varve's doors: their first login, their groups and roles, and what happens while the directory is away. */

const PEOPLE = `ou=people,${SUFFIX}`
const GROUPS = `ou=groups,${SUFFIX}`

const person = (name: string): string =>
  `dn: uid=${name},${PEOPLE}\nobjectClass: inetOrgPerson\nuid: ${name}\ncn: ${name}\nsn: ${name}\nmail: ${name}@example.test\nuserPassword: pw-${name}\n`
const group = (name: string, members: readonly string[]): string =>
  `dn: cn=${name},${GROUPS}\nobjectClass: groupOfNames\ncn: ${name}\n${members.map((each) => `member: uid=${each},${PEOPLE}`).join('\n')}\n`

/** A place that changes hands, the person of two names, and one told from another by case alone. */
const desk = (name: string): string => `dn: cn=desk,${PEOPLE}\nobjectClass: inetOrgPerson\nuid: ${name}\ncn: desk\nsn: ${name}\nuserPassword: pw-${name}\n`
const twoNames = `dn: cn=two,${PEOPLE}\nobjectClass: inetOrgPerson\nuid: alicia\nuid: zed\ncn: two\nsn: two\nuserPassword: pw-two\n`
const caseExact = (name: string): string => {
  const cn = name === 'frida' ? 'one' : 'other'
  return `dn: cn=${cn},${PEOPLE}\nobjectClass: inetOrgPerson\nlabeledURI: ${name}\ncn: ${cn}\nsn: ${name}\nuserPassword: pw-${name}\n`
}

/** The directory of a later year. */
const LATER = [
  ...['people', 'groups'].map((name) => `dn: ou=${name},${SUFFIX}\nobjectClass: organizationalUnit\nou: ${name}\n`),
  `dn: ou=moved,${PEOPLE}\nobjectClass: organizationalUnit\nou: moved\n`,
  person('alice').replace(PEOPLE, `ou=moved,${PEOPLE}`),
  desk('dora'),
].join('\n')

/** Five, one in the other: no event holds the DN of what stands in the last. */
const deepUnits = [1, 2, 3, 4, 5].map((depth) => [...Array<string>(depth).fill(`ou=${'u'.repeat(200)}`), GROUPS].join(','))

const LDIF = [
  ...['people', 'groups'].map((name) => `dn: ou=${name},${SUFFIX}\nobjectClass: organizationalUnit\nou: ${name}\n`),
  ...['alice', 'bob', 'root', 'admin', 'longfellow'].map(person),
  desk('carl'),
  twoNames,
  ...['Frida', 'frida'].map(caseExact),
  group('developers', ['alice']),
  group('operators', ['root']),
  group('long', ['longfellow']).replace('cn: long\n', `cn: ${'l'.repeat(300)}\ncn: long\n`),
  ...deepUnits.map((dn) => `dn: ${dn}\nobjectClass: organizationalUnit\n`),
  group('deep', ['longfellow']).replace(GROUPS, deepUnits.at(-1) ?? ''),
].join('\n')

const basic = (name: string, password: string): string => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`

const alice: UserRow = {
  id: 'alice', number: 2, source: 'ldap', name: 'alice', email: undefined, realName: undefined, comment: undefined, external: `uid=alice,${PEOPLE}`, verifier: undefined,
  credential: 'a login', cliVerifier: undefined, cliCredential: undefined, administrator: false, administratorByDirectory: false, auditor: false, groups: [],
  createdAt: new Date(0), updatedAt: new Date(0),
}

;(hasSlapd ? describe : describe.skip)('a directory', () => {
  let slapd: Slapd
  let server: VarveServer
  const as = (authorization: string) => registryClient({ url: server.url, authorization })
  const api = async (method: string, path: string, body?: unknown, authorization = server.authorization): Promise<Response> =>
    as(authorization).call(method, `/api/v2.0${path}`, body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } })

  beforeAll(async () => {
    slapd = await startSlapd(LDIF)
    server = await startVarve()
    const settings = {
      auth_mode: 'ldap_auth', ldap_url: `ldap://127.0.0.1:${slapd.port}`, ldap_search_dn: searchAccount.dn, ldap_search_password: searchAccount.password,
      ldap_base_dn: PEOPLE, ldap_uid: 'uid', ldap_group_base_dn: GROUPS, ldap_group_attribute_name: 'cn', ldap_group_admin_dn: `cn=operators,${GROUPS}`, ldap_timeout: 2,
    }
    expect((await api('PUT', '/configurations', settings)).status).toBe(200)
  })
  afterAll(async () => {
    await slapd.stop()
  })

  it('lets in who it knows, with the right password, under the name that it says', async () => {
    expect((await as(basic('alice', 'pw-alice')).call('GET', '/v2/')).status).toBe(200)
    expect((await as(basic('ALICE', 'pw-alice')).call('GET', '/v2/')).status).toBe(200)
    const current = await api('GET', '/users/current', undefined, basic('alice', 'pw-alice'))
    expect(await current.json()).toMatchObject({ username: 'alice', email: 'alice@example.test', sysadmin_flag: false })
    const users = (await (await api('GET', '/users')).json()) as readonly { readonly username: string }[]
    expect(users.filter(({ username }) => username.toLowerCase() === 'alice')).toHaveLength(1)
  })

  it('answers a wrong password and an unknown name alike', async () => {
    const wrong = await as(basic('bob', 'nope')).call('GET', '/v2/')
    const unknown = await as(basic('nobody', 'nope')).call('GET', '/v2/')
    expect([wrong.status, await wrong.text()]).toEqual([unknown.status, await unknown.text()])
    expect(wrong.status).toBe(401)
  })

  it('leaves local users as they are: theirs is the password that is kept here', async () => {
    expect((await as(basic('admin', 'pw-admin')).call('GET', '/v2/')).status).toBe(401)
    expect((await as(server.authorization).call('GET', '/v2/')).status).toBe(200)
  })

  it('makes an administrator of whoever is in the group of administrators', async () => {
    const current = await api('GET', '/users/current', undefined, basic('root', 'pw-root'))
    expect(await current.json()).toMatchObject({ username: 'root', sysadmin_flag: true })
  })

  it('gives the members of a group the role that the group has', async () => {
    expect((await api('POST', '/projects', { project_name: 'team', metadata: { public: 'false' } })).status).toBe(201)
    const alice = as(basic('alice', 'pw-alice'))
    expect((await alice.call('POST', '/v2/team/app/blobs/uploads/')).status).toBe(403)
    const group = { role_id: 2, member_group: { ldap_group_dn: `cn=developers,${GROUPS}`, group_type: 1 } }
    expect((await api('POST', '/projects/team/members', group)).status).toBe(201)
    expect((await alice.call('POST', '/v2/team/app/blobs/uploads/')).status).toBe(202)
    expect((await as(basic('bob', 'pw-bob')).call('POST', '/v2/team/app/blobs/uploads/')).status).toBe(403)
  })

  it('lets in who is in groups of names that are longer than can be kept', async () => {
    expect((await as(basic('longfellow', 'pw-longfellow')).call('GET', '/v2/')).status).toBe(200)
    const groups = (await (await api('GET', '/usergroups')).json()) as readonly { readonly group_name: string }[]
    const names = groups.map(({ group_name: name }) => name)
    expect([names.includes('l'.repeat(255)), names.includes('deep')]).toEqual([true, false])
  })

  it('is asked again for somebody whom it let in five minutes ago, and not before', async () => {
    const values = {
      ...SETTINGS, oidc_client_secret: undefined, auth_mode: 'ldap_auth', ldap_url: `ldap://127.0.0.1:${slapd.port}`, ldap_search_dn: searchAccount.dn,
      ldap_search_password: searchAccount.password, ldap_base_dn: PEOPLE, ldap_uid: 'uid', ldap_group_base_dn: GROUPS,
    }
    let nowMs = 0
    const read: OutsideUser[] = []
    const login = createLdapLogin({
      settings: () => Promise.resolve(values),
      identity: { userByName: () => Promise.resolve(undefined) },
      users: {
        record: (user) => {
          read.push(user)
          return Promise.resolve(alice)
        },
      },
      now: () => nowMs,
      logger: { warn: () => undefined },
    })
    expect(await login.logIn('alice', 'pw-alice')).toMatchObject({ id: alice.id })
    nowMs = 299_999
    expect([login.stillThere(alice), read.length]).toEqual([true, 1])
    nowMs = 300_000
    expect(await login.stillThere(alice)).toBe('there')
    expect(read.map(({ groups }) => groups)).toEqual(Array(2).fill([{ dn: `cn=developers,${GROUPS}`, name: 'developers' }]))
    expect(login.stillThere(alice)).toBe(true)
    nowMs = 600_000
    expect(await login.stillThere({ ...alice, external: `uid=gone,${PEOPLE}` })).toBe('gone')
    // The entry is another person's.
    expect(await login.stillThere({ ...alice, name: 'albert' })).toBe('gone')
    expect(read).toHaveLength(2)
    login.close()
  })

  it('knows somebody of several names by the one that was typed', async () => {
    for (const name of ['zed', 'alicia']) expect(await (await api('GET', '/users/current', undefined, basic(name, 'pw-two'))).json()).toMatchObject({ username: name })
  })

  it('lets in nobody by the name of another who still has it, where it tells names apart that are one here', async () => {
    expect((await api('PUT', '/configurations', { ldap_uid: 'labeledURI' })).status).toBe(200)
    const logins = []
    for (const name of ['frida', 'Frida', 'frida']) logins.push((await as(basic(name, `pw-${name}`)).call('GET', '/v2/')).status)
    expect(logins).toEqual([200, 401, 200])
    expect((await api('PUT', '/configurations', { ldap_uid: 'uid' })).status).toBe(200)
  })

  it('of which an entry moved or changed hands ends what came before, and the name keeps its roles', async () => {
    const tokenOf = async (name: string): Promise<string> => `Bearer ${(await fetchToken(server, basic(name, `pw-${name}`), ['repository:team/app:pull,push'])).body.token}`
    const numberOf = async (name: string): Promise<unknown> => ((await (await api('GET', '/users/current', undefined, basic(name, `pw-${name}`))).json()) as { readonly user_id: number }).user_id
    const opened = async (bearer: string): Promise<number> => (await as(bearer).call('GET', '/v2/')).status
    const before = { alice: await tokenOf('alice'), carl: await tokenOf('carl'), number: await numberOf('alice') }
    expect([await opened(before.alice), await opened(before.carl)]).toEqual([200, 200])
    const later = await startSlapd(LATER)
    expect((await api('PUT', '/configurations', { ldap_url: `ldap://127.0.0.1:${later.port}`, ldap_search_password: searchAccount.password })).status).toBe(200)
    // What was read less than five minutes ago is forgotten with it.
    await server.restart()
    expect(await opened(before.carl)).toBe(401)
    const after = await tokenOf('alice')
    expect([await opened(before.alice), await opened(after), await numberOf('alice')]).toEqual([401, 200, before.number])
    expect((await server.varve('audit', '--action', 'user.changed', '--json')).stdout).toContain('"moved":true')
    await later.stop()
    expect((await api('PUT', '/configurations', { ldap_url: `ldap://127.0.0.1:${slapd.port}`, ldap_search_password: searchAccount.password })).status).toBe(200)
  })

  it('is told to be away where it is, while local users and robots go on', async () => {
    await slapd.stop()
    const bob = await as(basic('bob', 'pw-never-asked')).call('GET', '/v2/')
    expect([bob.status, bob.headers.get('retry-after')]).toEqual([503, '5'])
    expect((await as(server.authorization).call('GET', '/v2/')).status).toBe(200)
  })
})
