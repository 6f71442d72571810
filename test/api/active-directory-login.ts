import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { administrator, DOMAIN, ENABLED, groupEntry, passwordOf, unitEntry, userEntry } from '../support/active-directory.ts'
import type { ActiveDirectory } from '../support/active-directory.ts'
import { askingAs } from '../support/asking.ts'
import type { Asking } from '../support/asking.ts'
import { one, two } from '../support/certificates.ts'
import { basic, bearer, claimsOf, fetchToken, ROLE_IDS } from '../support/doors.ts'
import { startLdapProxy } from '../support/ldap-proxy.ts'
import type { LdapProxy } from '../support/ldap-proxy.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

const STAFF = `OU=Staff,${DOMAIN}`
const TEAMS = `OU=Teams,${DOMAIN}`
const userDn = (name: string): string => `CN=${name},${STAFF}`
const groupDn = (name: string): string => `CN=${name},${TEAMS}`
const user = (name: string, more: readonly string[] = [ENABLED], principal?: string): string => userEntry(STAFF, name, more, principal)
const group = (name: string, members: readonly string[]): string => groupEntry(TEAMS, name, members)

const LDIF = [
  ...[STAFF, TEAMS].map(unitEntry),
  user('anna', [ENABLED, 'mail: anna@example.test', 'displayName: Anna Arndt']),
  user('cara', [ENABLED], 'cara.clark@ad.example.test'),
  ...['ben', 'dan', 'eva', 'finn', 'olga', 'shut-typed'].map((name) => user(name)),
  user('disabled-typed', ['userAccountControl: 514']),
  // 2009-10-13.
  user('expired-typed', [ENABLED, 'accountExpires: 129000000000000000']),
  user('renew-typed', [ENABLED, 'pwdLastSet: 0']),
  group('makers', [userDn('anna')]),
  group('builders', [groupDn('makers')]),
  group('crew', [userDn('ben')]),
  group('night', [userDn('olga')]),
  group('operators', [groupDn('night')]),
].join('\n')

type Refusal = { readonly requestId?: string; readonly parameters: { readonly reason?: string } }

/**
 * People of a domain controller at Varve's doors: what it says of them decides who is let in, and to what. Its certificate is for
 * 127.0.0.1, where proxies stand before it, as it listens elsewhere.
 */
export function describeLoginAtTheDoors(controller: () => ActiveDirectory): void {
  describe('that Varve is configured for', () => {
    let plain: LdapProxy
    let encrypted: LdapProxy
    let server: VarveServer
    let admin: Asking

    const as = (name: string, secret = passwordOf(name)): Asking => askingAs(server, { name, secret })
    const registry = (authorization: string) => registryClient({ url: server.url, authorization })
    const login = (name: string, secret = passwordOf(name)): string => basic(name, secret)
    const v2 = (authorization: string): Promise<Response> => registry(authorization).call('GET', '/v2/')
    const statusOf = async (authorization: string, method: string, path: string): Promise<number> =>
      (await registry(authorization).call(method, `/v2/lab/app/${path}`)).status
    const pull = (authorization: string): Promise<number> => statusOf(authorization, 'GET', 'manifests/v1')
    const startUpload = (authorization: string): Promise<number> => statusOf(authorization, 'POST', 'blobs/uploads/')

    beforeAll(async () => {
      await controller().modify(LDIF)
      await controller().makePrimary(groupDn('crew'), userDn('ben'))
      plain = await startLdapProxy({ host: controller().host, port: 389 })
      encrypted = await startLdapProxy({ host: controller().host, port: 636 })
      server = await startVarve()
      admin = askingAs(server)
      const settings = {
        auth_mode: 'ldap_auth', ldap_url: `ldaps://127.0.0.1:${encrypted.port}`, ldap_verify_cert: true, ldap_ca: one.cert,
        ldap_search_dn: administrator.dn, ldap_search_password: administrator.password, ldap_base_dn: STAFF, ldap_uid: 'sAMAccountName',
        ldap_filter: '(objectClass=user)', ldap_group_base_dn: TEAMS, ldap_group_search_filter: '(objectClass=group)',
        ldap_group_attribute_name: 'cn', ldap_group_admin_dn: groupDn('operators'), ldap_timeout: 20,
      }
      expect(await admin.asked('PUT', '/configurations', settings)).toBe('200')
      await admin.make('/projects', { project_name: 'lab', metadata: { public: 'false' } })
      for (const [name, role] of [['builders', 'developer'], ['crew', 'guest']] as const) {
        const member_group = { ldap_group_dn: groupDn(name), group_type: 1 }
        await admin.make('/projects/lab/members', { role_id: ROLE_IDS[role], member_group })
      }
    })

    afterAll(() => {
      plain.stop()
      encrypted.stop()
    })

    it.each([
      ['cara', 'cara', 'cara'],
      ['CARA', 'cara', 'cara'],
      ['cara.clark@ad.example.test', 'cara', 'cara'],
      ['anna@AD.example.test', 'anna', 'anna'],
    ])('lets in %s at each door', async (typed, owner, name) => {
      expect((await v2(login(typed, passwordOf(owner)))).status).toBe(200)
      const token = await fetchToken(server, login(typed, passwordOf(owner)), [])
      expect(token.status).toBe(200)
      expect((await v2(`Bearer ${token.body.token}`)).status).toBe(200)
      expect(await as(typed, passwordOf(owner)).read('/users/current')).toMatchObject({ username: name, sysadmin_flag: false })
      expect((await v2(login(typed, 'wrong'))).status).toBe(401)
    })

    it('takes mail address and real name from it', async () => {
      expect(await as('anna').read('/users/current')).toMatchObject({ email: 'anna@example.test', realname: 'Anna Arndt' })
    })

    it('lets push and pull who is in a group of a group that has the role', async () => {
      await registry(await bearer(server, login('anna'), 'repository:lab/app:pull,push')).pushImage('lab/app', 'v1', Buffer.from('a layer'))
      expect([await pull(login('anna')), await startUpload(login('anna'))]).toEqual([200, 202])
      expect([await pull(login('dan')), await startUpload(login('dan'))]).toEqual([404, 403])
      const { body } = await fetchToken(server, login('dan'), ['repository:lab/app:pull,push'])
      expect(claimsOf(body.token).access).toEqual([])
      expect(await as('dan').asked('GET', '/projects/lab')).toBe('404 NOT_FOUND')
    })

    it('lets pull alone who has the group with that role as the primary one', async () => {
      expect([await pull(login('ben')), await startUpload(login('ben'))]).toEqual([200, 403])
      const { body } = await fetchToken(server, login('ben'), ['repository:lab/app:pull,push'])
      expect(claimsOf(body.token).access).toEqual([{ type: 'repository', name: 'lab/app', actions: ['pull'] }])
      expect(await as('ben').asked('GET', '/projects/lab')).toBe('200')
    })

    it('makes an administrator of who is in the group of administrators through another', async () => {
      expect(await as('olga').read('/users/current')).toMatchObject({ username: 'olga', sysadmin_flag: true })
      expect(await as('olga').asked('GET', '/users')).toBe('200')
      expect(await as('dan').asked('GET', '/users')).toBe('403 FORBIDDEN')
    })

    it('lets in nobody whose account is barred there, and tells why to the trail alone', async () => {
      const barred = { 'disabled-typed': 'disabled', 'expired-typed': 'expired', 'renew-typed': 'password-expired', 'shut-typed': 'locked' }
      const doors = [
        (who: string) => v2(who),
        (who: string) => fetchToken(server, who, []),
        (who: string) => registry(who).call('GET', '/api/v2.0/users/current'),
      ]
      // Three wrong passwords lock an account.
      for (const door of doors) expect((await door(login('shut-typed', 'wrong'))).status).toBe(401)
      const unknown = await v2(login('nobody', 'wrong'))
      const told = await unknown.text()
      const reasons = new Map<string, string>()
      for (const [name, fault] of Object.entries(barred)) {
        const first = await v2(login(name))
        expect([first.status, await first.text()]).toEqual([unknown.status, told])
        reasons.set(first.headers.get('X-Request-Id') ?? '', `account-${fault}`)
        // After five failures an account waits, whatever is sent.
        if (fault !== 'locked') for (const door of doors) expect((await door(login(name))).status).toBe(401)
      }
      const { stdout } = await server.varve('audit', '--json', '--action', 'refused')
      const refusals = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Refusal]))
      const found = refusals.map(({ requestId = '', parameters }) => [requestId, parameters.reason] as const)
      expect(new Map(found.filter(([requestId]) => reasons.has(requestId)))).toEqual(reasons)
      const trail = await server.varve('audit', '--json', '--blobs')
      const log = await server.varve('log', 'tail', '-n', '10000')
      const everything = trail.stdout + log.stdout + server.output()
      expect(everything).toContain('account-locked')
      for (const typed of Object.keys(barred).flatMap((name) => [name, passwordOf(name)])) expect(everything).not.toContain(typed)
    })

    it('is asked where its certificate is trusted alone, and never in clear where StartTLS is set', async () => {
      const set = async (settings: object): Promise<void> => {
        expect(await admin.asked('PUT', '/configurations', settings)).toBe('200')
      }
      await set({ ldap_ca: two.cert })
      const untrusted = await v2(login('eva'))
      expect([untrusted.status, untrusted.headers.get('Retry-After')]).toEqual([503, '5'])
      await set({ ldap_url: `ldap://127.0.0.1:${plain.port}`, ldap_start_tls: true })
      expect((await v2(login('eva'))).status).toBe(503)
      await set({ ldap_ca: one.cert })
      expect((await v2(login('eva'))).status).toBe(200)
      expect([...new Set((await plain.take()).map(({ kind }) => kind))]).toEqual(['extended', 'encrypted'])
      await set({ ldap_url: `ldaps://127.0.0.1:${encrypted.port}`, ldap_start_tls: false })
      expect((await v2(login('finn'))).status).toBe(200)
    })

    it('takes a right away from whoever left its group, and their tokens, once it is read again', async () => {
      const token = await bearer(server, login('anna'), 'repository:lab/app:pull,push')
      expect(await as('olga').asked('GET', '/users')).toBe('200')
      for (const [name, of] of [['makers', 'anna'], ['night', 'olga']] as const) {
        await controller().modify(`dn: ${groupDn(name)}\nchangetype: modify\ndelete: member\nmember: ${userDn(of)}\n`)
      }
      // For five minutes she is who she was; a process that starts has read nobody.
      expect([await pull(token), await startUpload(token)]).toEqual([200, 202])
      await server.restart()
      expect([await pull(token), await startUpload(token)]).toEqual([404, 403])
      expect(await as('olga').read('/users/current')).toMatchObject({ sysadmin_flag: false })
      expect(await as('olga').asked('GET', '/users')).toBe('403 FORBIDDEN')
    })
  })
}
