import { beforeAll, describe, expect, it } from '@jest/globals'
import { managementClient } from '../../support/management.ts'
import type { As, ManagementClient } from '../../support/management.ts'
import { startVarve } from '../../support/server.ts'

const DN = 'cn=Developers,ou=groups,dc=example,dc=org'
const somebody: As = { name: 'somebody', secret: 'Nobody-knows-1' }
let api: ManagementClient

beforeAll(async () => {
  api = managementClient(await startVarve())
  await api.created('/users', { username: somebody.name, email: 's@example.org', password: somebody.secret })
})

describe('a group', () => {
  it('is made known, seen, renamed and forgotten', async () => {
    const ldap = await api.created('/usergroups', { group_name: 'Developers', group_type: 1, ldap_group_dn: DN })
    const oidc = await api.created('/usergroups', { group_name: 'auditors', group_type: 3 })
    expect((await api.ask('GET', `/usergroups/${ldap}`)).body).toEqual({ id: ldap, group_name: 'Developers', group_type: 1, ldap_group_dn: DN })
    expect((await api.ask('GET', `/usergroups/${oidc}`)).body).toEqual({ id: oidc, group_name: 'auditors', group_type: 3 })

    expect(await api.asked('PUT', `/usergroups/${ldap}`, { body: { group_name: 'devs' } })).toBe('200')
    expect((await api.ask('GET', '/usergroups?group_name=DEV')).body).toEqual([{ id: ldap, group_name: 'devs', group_type: 1, ldap_group_dn: DN }])
    expect(await api.asked('POST', '/usergroups', { body: { group_name: 'again', group_type: 1, ldap_group_dn: DN.toUpperCase() } })).toBe('409 CONFLICT')

    for (const id of [ldap, oidc]) expect(await api.asked('DELETE', `/usergroups/${id}`)).toBe('200')
    for (const method of ['GET', 'DELETE']) expect(await api.asked(method, `/usergroups/${ldap}`)).toBe('404 NOT_FOUND')
    expect(await api.created('/usergroups', { group_name: 'x', group_type: 1, ldap_group_dn: DN })).toBeGreaterThan(oidc)
  })

  it('of a provider is told by its name, also once it was renamed', async () => {
    const [one, two] = [await api.created('/usergroups', { group_name: 'one', group_type: 3 }), await api.created('/usergroups', { group_name: 'two', group_type: 3 })]
    expect(await api.asked('POST', '/usergroups', { body: { group_name: 'one', group_type: 3 } })).toBe('409 CONFLICT')
    // Providers tell names apart by case.
    expect(await api.asked('POST', '/usergroups', { body: { group_name: 'ONE', group_type: 3 } })).toBe('201')
    expect(await api.asked('PUT', `/usergroups/${two}`, { body: { group_name: 'one' } })).toBe('409 CONFLICT')
    expect(await api.asked('PUT', `/usergroups/${one}`, { body: { group_name: 'three' } })).toBe('200')
    expect(await api.asked('PUT', `/usergroups/${two}`, { body: { group_name: 'one' } })).toBe('200')
    expect(await api.asked('POST', '/usergroups', { body: { group_name: 'three', group_type: 3 } })).toBe('409 CONFLICT')
  })

  it.each([{ group_name: '' }, { group_name: 'a\nb' }, { group_type: 2 }, { group_type: 1 }, { group_type: undefined }])('is refused with %j', async (wrong) => {
    expect(await api.asked('POST', '/usergroups', { body: { group_name: 'w', group_type: 3, ...wrong } })).toBe('400 BAD_REQUEST')
  })
})

describe('the list of groups', () => {
  it('comes by name and in pages, and by the DN', async () => {
    for (const name of ['page-b', 'page-c', 'page-a']) await api.created('/usergroups', { group_name: name, group_type: 1, ldap_group_dn: `cn=${name}` })
    const { body, headers } = await api.ask('GET', '/usergroups?group_name=page-&page_size=2')
    expect(body).toMatchObject([{ group_name: 'page-a' }, { group_name: 'page-b' }])
    expect(headers.get('X-Total-Count')).toBe('3')
    expect((await api.ask('GET', '/usergroups?ldap_group_dn=cn%3Dpage-c')).body).toMatchObject([{ group_name: 'page-c' }])
  })

  it('is searched by everybody who is logged in; the rest is for those who manage groups', async () => {
    const id = await api.created('/usergroups', { group_name: 'searched', group_type: 3 })
    const search = await api.ask('GET', '/usergroups/search?groupname=SEARCH', { as: somebody })
    expect(search.body).toEqual([{ id, group_name: 'searched', group_type: 3 }])
    expect(await api.asked('GET', '/usergroups/search', { as: somebody })).toBe('400 BAD_REQUEST')
    for (const [method, path] of [['GET', ''], ['POST', ''], ['GET', `/${id}`], ['PUT', `/${id}`], ['DELETE', `/${id}`], ['GET', '/99999']] as const) {
      const body = method === 'POST' || method === 'PUT' ? {} : undefined
      expect(await api.asked(method, `/usergroups${path}`, { as: somebody, body })).toBe('403 FORBIDDEN')
      expect(await api.asked(method, `/usergroups${path}`, { as: 'nobody', body })).toBe('401 UNAUTHORIZED')
    }
  })
})
