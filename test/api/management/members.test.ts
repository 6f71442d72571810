import { beforeAll, describe, expect, it } from '@jest/globals'
import { askingAs, makeUser } from '../../support/asking.ts'
import type { Asking } from '../../support/asking.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'

type Member = { id: number; entity_name: string; role_name: string; role_id: number; entity_id: number; entity_type: string }

let server: VarveServer
let admin: Asking
let owner: Awaited<ReturnType<typeof makeUser>>
let guest: Awaited<ReturnType<typeof makeUser>>
let project: number

beforeAll(async () => {
  server = await startVarve()
  admin = askingAs(server)
  owner = await makeUser(server, 'owner')
  guest = await makeUser(server, 'guest')
  project = await owner.make('/projects', { project_name: 'team' })
})

const members = async (path = '/projects/team/members'): Promise<string[]> =>
  (await owner.read<Member[]>(path)).map(({ entity_type: type, entity_name: name, role_name: role }) => `${type} ${name} ${role}`)

describe('members of a project', () => {
  it('are users, by name or number, each once', async () => {
    const added = await owner.call('POST', '/projects/team/members', { role_id: 3, member_user: { username: 'GUEST' } })
    const id = Number(added.headers.get('Location')?.split('/').at(-1))
    expect([added.status, added.headers.get('Location')]).toEqual([201, `/api/v2.0/projects/${project}/members/${id}`])
    expect(await owner.read(`/projects/team/members/${id}`)).toEqual({
      id, project_id: project, entity_name: 'guest', role_name: 'guest', role_id: 3, entity_id: guest.number, entity_type: 'u',
    })
    expect(await owner.asked('POST', '/projects/team/members', { role_id: 1, member_user: { user_id: guest.number } })).toBe('409 CONFLICT')
    expect(await members()).toEqual(['u guest guest', 'u owner projectAdmin'])
    expect(await members('/projects/team/members?entityname=UES')).toEqual(['u guest guest'])
  })

  it.each([
    [{ role_id: 0, member_user: { username: 'guest' } }, '400 BAD_REQUEST'],
    [{ role_id: 7, member_user: { username: 'guest' } }, '400 BAD_REQUEST'],
    [{ role_id: '1', member_user: { username: 'guest' } }, '400 BAD_REQUEST'],
    [{ role_id: 1 }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_user: { username: 'guest' }, member_group: { id: 1 } }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_group: {} }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_group: { group_type: 1, group_name: 'by name' } }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_group: { ldap_group_dn: 'cn=a\u0000' } }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_group: { group_name: 'a\ud800' } }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_user: { username: 'a\u0000' } }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_group: { group_type: 2, group_name: 'of a proxy' } }, '400 BAD_REQUEST'],
    [{ role_id: 1, member_user: { username: 'nobody-of-this-name' } }, '404 NOT_FOUND'],
    [{ role_id: 1, member_user: { user_id: 2_000_000 } }, '404 NOT_FOUND'],
    [{ role_id: 1, member_group: { id: 2_000_000 } }, '404 NOT_FOUND'],
  ])('are not %j', async (body, answer) => {
    expect(await owner.asked('POST', '/projects/team/members', body)).toBe(answer)
  })

  it('get another role, and it holds from the answer on', async () => {
    const [{ id } = { id: 0 }] = await owner.read<Member[]>('/projects/team/members?entityname=guest')
    const seen: string[] = []
    for (const role of [5, 6, 4, 2, 1, 3]) {
      expect(await owner.asked('PUT', `/projects/team/members/${id}`, { role_id: role })).toBe('200')
      seen.push(`${role}: ${await guest.asked('GET', '/projects/team/members')}, ${await guest.asked('POST', '/projects/team/members', { role_id: 1, member_user: { username: 'guest' } })}`)
    }
    expect(seen).toEqual([
      '5: 403 FORBIDDEN, 403 FORBIDDEN', '6: 200, 403 FORBIDDEN', '4: 200, 403 FORBIDDEN', '2: 200, 403 FORBIDDEN', '1: 200, 409 CONFLICT', '3: 200, 403 FORBIDDEN',
    ])
    expect(await owner.asked('PUT', `/projects/team/members/${id}`, { role_id: 9 })).toBe('400 BAD_REQUEST')
    expect(await guest.asked('PUT', `/projects/team/members/${id}`, { role_id: 1 })).toBe('403 FORBIDDEN')
    expect(await guest.asked('DELETE', `/projects/team/members/${id}`)).toBe('403 FORBIDDEN')
  })

  it('of another project are not reached through this one', async () => {
    await owner.make('/projects', { project_name: 'other' })
    const [{ id } = { id: 0 }] = await owner.read<Member[]>('/projects/other/members')
    for (const [method, body] of [['GET', undefined], ['PUT', { role_id: 5 }], ['DELETE', undefined]] as const) {
      expect(await owner.asked(method, `/projects/team/members/${id}`, body)).toBe('404 NOT_FOUND')
    }
  })

  it('lose all by being removed, and have the same number when they come back', async () => {
    const [{ id } = { id: 0 }] = await owner.read<Member[]>('/projects/team/members?entityname=guest')
    expect(await owner.asked('DELETE', `/projects/team/members/${id}`)).toBe('200')
    expect(await guest.asked('GET', '/projects/team')).toBe('404 NOT_FOUND')
    expect(await owner.asked('GET', `/projects/team/members/${id}`)).toBe('404 NOT_FOUND')
    expect(await owner.asked('DELETE', `/projects/team/members/${id}`)).toBe('404 NOT_FOUND')
    expect(await owner.make('/projects/team/members', { role_id: 2, member_user: { user_id: guest.number } })).toBe(id)
    expect(await guest.asked('GET', '/projects/team')).toBe('200')
  })

  it('are groups of a directory or a provider, which become known by it', async () => {
    const dn = 'cn=Build\\, Test,ou=groups,dc=example,dc=com'
    const byDn = await owner.make('/projects/team/members', { role_id: 2, member_group: { group_type: 1, ldap_group_dn: dn } })
    const byName = await owner.make('/projects/team/members', { role_id: 3, member_group: { group_type: 3, group_name: 'readers' } })
    const [{ entity_id: group } = { entity_id: 0 }] = await owner.read<Member[]>('/projects/team/members?entityname=build')
    expect(await members()).toEqual(['g Build, Test developer', 'u guest developer', 'u owner projectAdmin', 'g readers guest'])
    expect(byName).toBeGreaterThan(byDn)
    // The same group, however it is named.
    expect(await owner.asked('POST', '/projects/team/members', { role_id: 1, member_group: { ldap_group_dn: dn.toUpperCase() } })).toBe('409 CONFLICT')
    expect(await owner.asked('POST', '/projects/team/members', { role_id: 1, member_group: { id: group } })).toBe('409 CONFLICT')
    await owner.make('/projects/other/members', { role_id: 1, member_group: { id: group } })
  })

  it('who are deleted are members no more', async () => {
    const leaver = await makeUser(server, 'leaver')
    await owner.make('/projects/other/members', { role_id: 3, member_user: { username: 'leaver' } })
    expect(await members('/projects/other/members?entityname=leaver')).toHaveLength(1)
    expect(await admin.asked('DELETE', `/users/${leaver.number}`)).toBe('200')
    expect(await members('/projects/other/members?entityname=leaver')).toEqual([])
    expect(await owner.read('/projects/other/summary')).toMatchObject({ guest_count: 0, project_admin_count: 2 })
  })
})

describe('metadata of a project', () => {
  it('are read, added, changed and removed one by one', async () => {
    await owner.make('/projects', { project_name: 'told' })
    expect(await owner.read('/projects/told/metadatas/')).toEqual({ public: 'false' })
    expect(await owner.asked('POST', '/projects/told/metadatas/', { auto_scan: 'false' })).toBe('200')
    expect(await owner.asked('POST', '/projects/told/metadatas/', { auto_scan: 'false' })).toBe('409 CONFLICT')
    expect(await owner.asked('POST', '/projects/told/metadatas/', { public: 'true' })).toBe('409 CONFLICT')
    expect(await owner.asked('POST', '/projects/told/metadatas/', { prevent_vul: 'false', severity: 'low' })).toBe('400 BAD_REQUEST')
    expect(await owner.asked('PUT', '/projects/told/metadatas/severity', { severity: 'low' })).toBe('404 NOT_FOUND')
    expect(await owner.asked('POST', '/projects/told/metadatas/', { severity: 'low' })).toBe('200')
    expect(await owner.asked('PUT', '/projects/told/metadatas/severity', { severity: 'high' })).toBe('200')
    expect(await owner.read('/projects/told/metadatas/severity')).toEqual({ severity: 'high' })
    expect(await owner.asked('PUT', '/projects/told/metadatas/severity', { public: 'true' })).toBe('400 BAD_REQUEST')
    expect(await owner.asked('DELETE', '/projects/told/metadatas/severity')).toBe('200')
    expect(await owner.asked('GET', '/projects/told/metadatas/severity')).toBe('404 NOT_FOUND')
    expect(await owner.asked('DELETE', '/projects/told/metadatas/severity')).toBe('404 NOT_FOUND')
    expect(await owner.asked('GET', '/projects/told/metadatas/__proto__')).toBe('404 NOT_FOUND')
  })

  it('say whether it is public', async () => {
    const nobody = askingAs(server, 'nobody')
    expect(await nobody.asked('GET', '/projects/told')).toBe('401 UNAUTHORIZED')
    expect(await owner.asked('PUT', '/projects/told/metadatas/public', { public: 'true' })).toBe('200')
    expect(await nobody.asked('GET', '/projects/told')).toBe('200')
    expect(await owner.asked('DELETE', '/projects/told/metadatas/public')).toBe('400 BAD_REQUEST')
    expect(await owner.read('/projects/told/metadatas')).toEqual({ auto_scan: 'false', public: 'true' })
  })

  it('of what has no effect are taken only as none', async () => {
    for (const name of ['prevent_vul', 'enable_content_trust', 'enable_content_trust_cosign', 'auto_scan', 'auto_sbom_generation', 'proxy_referrer_api']) {
      const answer = await owner.call('PUT', '/projects/told', { metadata: { [name]: 'true' } })
      expect([answer.status, answer.body]).toEqual([400, { errors: [{ code: 'BAD_REQUEST', message: `${name} has no effect here yet: it is taken only as "false"` }] }])
    }
  })
})
