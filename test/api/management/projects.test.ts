import { beforeAll, describe, expect, it } from '@jest/globals'
import { askingAs, makeUser } from '../../support/asking.ts'
import type { Asking } from '../../support/asking.ts'
import { OCI_MANIFEST, imageManifest, registryClient, sha256 } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'

type Project = { project_id: number; name: string; owner_name: string; repo_count: number; togglable: boolean; current_user_role_id: number; current_user_role_ids: number[]; metadata: object }

let server: VarveServer
let admin: Asking
let nobody: Asking
/** Makes projects of her own. */
let alice: Awaited<ReturnType<typeof makeUser>>
/** A member of nothing. */
let bob: Awaited<ReturnType<typeof makeUser>>

beforeAll(async () => {
  server = await startVarve()
  admin = askingAs(server)
  nobody = askingAs(server, 'nobody')
  alice = await makeUser(server, 'alice')
  bob = await makeUser(server, 'bob')
})

const names = (projects: readonly Project[]): string[] => projects.map(({ name }) => name)

describe('a project', () => {
  it('is made by whoever logs in, who is its administrator', async () => {
    const made = await alice.call('POST', '/projects', { project_name: 'made', metadata: { public: 'true', auto_scan: 'false' }, storage_limit: -1 })
    expect(made.status).toBe(201)
    const number = Number(/^\/api\/v2\.0\/projects\/([0-9]+)$/.exec(made.headers.get('Location') ?? '')?.[1])
    const project = await alice.read<Project>(`/projects/${number}`)
    expect(project).toMatchObject({
      project_id: number,
      name: 'made',
      owner_name: 'alice',
      togglable: true,
      current_user_role_id: 1,
      current_user_role_ids: [1],
      repo_count: 0,
      metadata: { public: 'true', auto_scan: 'false' },
    })
    // By name, by number, and by what looks like a number and is a name.
    expect(await alice.read('/projects/made')).toEqual(project)
    expect(await alice.asked('GET', `/projects/${number}`, undefined, { 'X-Is-Resource-Name': 'true' })).toBe('404 NOT_FOUND')
    expect(await nobody.read('/projects/made')).toMatchObject({ togglable: false, current_user_role_id: 0, current_user_role_ids: [] })
    expect(await alice.asked('POST', '/projects', { project_name: 'made' })).toBe('409 CONFLICT')
    expect(await nobody.asked('POST', '/projects', { project_name: 'other' })).toBe('401 UNAUTHORIZED')
  })

  it('is named in its Location where that is asked for', async () => {
    const made = await alice.call('POST', '/projects', { project_name: 'located', public: true }, { 'X-Resource-Name-In-Location': 'true' })
    expect([made.status, made.headers.get('Location')]).toEqual([201, '/api/v2.0/projects/located'])
    expect(await nobody.asked('GET', '/projects/located')).toBe('200')
  })

  it.each(['', 'Upper', 'a/b', '-a', 'a..b', 'asof', 'v2', 'api', 'service', 'a b', 'ä', 'a\u0000b', '..', 'a'.repeat(256)])('cannot be called %j', async (name) => {
    expect(await alice.asked('POST', '/projects', { project_name: name })).toBe('400 BAD_REQUEST')
  })

  it.each<object>([
    { registry_id: 1 },
    { storage_limit: 1_000_000 },
    { cve_allowlist: { items: [{ cve_id: 'CVE-2020-1' }] } },
    { metadata: { prevent_vul: 'true' } },
    { metadata: { auto_scan: 'true' } },
    { metadata: { enable_content_trust: 'true' } },
    { metadata: { public: 'yes' } },
    { metadata: { nothing_known: 'false' } },
    { metadata: { toString: 'false' } },
    { metadata: { public: true } },
  ])('is not made with what has no effect: %j', async (more) => {
    expect(await alice.asked('POST', '/projects', { project_name: 'refused', ...more })).toBe('400 BAD_REQUEST')
    expect(await admin.asked('HEAD', '/projects?project_name=refused')).toBe('404')
  })

  it('is made by administrators alone where that is set', async () => {
    expect(await admin.asked('PUT', '/configurations', { project_creation_restriction: 'adminonly' })).toBe('200')
    try {
      expect(await alice.asked('POST', '/projects', { project_name: 'restricted' })).toBe('403 FORBIDDEN')
      await admin.make('/projects', { project_name: 'restricted' })
    } finally {
      await admin.call('PUT', '/configurations', { project_creation_restriction: 'everyone' })
    }
  })

  it('that one may not see is answered as one that is not there', async () => {
    const number = await alice.make('/projects', { project_name: 'secret' })
    const bytes = async (client: Asking, method: string, path: string, body?: unknown): Promise<unknown> => {
      const answer = await client.call(method, path, body)
      return [answer.status, answer.body, [...answer.headers].filter(([name]) => name !== 'x-request-id' && name !== 'date')]
    }
    for (const client of [bob, nobody]) {
      for (const [method, path, body] of [
        ['GET', ''], ['PUT', '', { metadata: { public: 'true' } }], ['DELETE', ''], ['GET', '/_deletable'], ['GET', '/summary'], ['GET', '/members'], ['POST', '/members', { role_id: 1 }],
        ['GET', '/members/1'], ['PUT', '/members/1', { role_id: 1 }], ['DELETE', '/members/1'], ['GET', '/metadatas/'], ['POST', '/metadatas/', { public: 'true' }], ['GET', '/metadatas/public'],
        ['PUT', '/metadatas/public', { public: 'true' }], ['DELETE', '/metadatas/public'],
      ] as const) {
        const absent = await bytes(client, method, `/projects/absent${path}`, body)
        expect(await bytes(client, method, `/projects/secret${path}`, body)).toEqual(absent)
        expect(await bytes(client, method, `/projects/${number}${path}`, body)).toEqual(absent)
      }
      expect(await bytes(client, 'HEAD', '/projects?project_name=secret')).toEqual(await bytes(client, 'HEAD', '/projects?project_name=absent'))
    }
    expect(await alice.asked('HEAD', '/projects?project_name=secret')).toBe('200')
  })

  it('is changed by its administrators', async () => {
    await alice.make('/projects', { project_name: 'changing' })
    expect(await alice.asked('PUT', '/projects/changing', { metadata: { public: 'true', severity: 'low', prevent_vul: 'false', retention_id: null } })).toBe('200')
    expect((await nobody.read<Project>('/projects/changing')).metadata).toEqual({ public: 'true', severity: 'low', prevent_vul: 'false' })
    expect(await bob.asked('PUT', '/projects/changing', { metadata: { public: 'false' } })).toBe('403 FORBIDDEN')
    expect(await nobody.asked('PUT', '/projects/changing', { metadata: { public: 'false' } })).toBe('401 UNAUTHORIZED')
    expect(await alice.asked('PUT', '/projects/changing', { metadata: { public: 'false', severity: 'low' } })).toBe('200')
    expect(await nobody.asked('GET', '/projects/changing')).toBe('401 UNAUTHORIZED')
  })

  it('is deleted once it holds nothing, and its name is free then', async () => {
    const number = await alice.make('/projects', { project_name: 'ending' })
    const pushed = registryClient({ url: server.url, authorization: alice.authorization })
    const { digest } = await pushed.pushImage('ending/app', 'v1', Buffer.from('layer'))
    expect((await alice.read<Project>('/projects/ending')).repo_count).toBe(1)
    expect(await alice.read('/projects/ending/_deletable')).toMatchObject({ deletable: false })
    expect(await alice.asked('DELETE', '/projects/ending')).toBe('412 PRECONDITION')
    expect((await pushed.call('DELETE', `/v2/ending/app/manifests/${digest}`)).status).toBe(202)
    expect(await alice.read('/projects/ending/_deletable')).toEqual({ deletable: true })
    expect(await alice.asked('DELETE', '/projects/ending')).toBe('200')
    expect(await alice.asked('GET', `/projects/${number}`)).toBe('404 NOT_FOUND')
    expect(await bob.make('/projects', { project_name: 'ending' })).toBeGreaterThan(number)
    expect(await bob.read('/projects/ending')).toMatchObject({ owner_name: 'bob', repo_count: 0 })
    expect(await alice.asked('GET', '/projects/ending')).toBe('404 NOT_FOUND')
  })

  it('is deleted, or holds what is pushed into it at that moment (40 rounds)', async () => {
    const pusher = registryClient({ url: server.url, authorization: alice.authorization })
    const [type, layer, config] = [OCI_MANIFEST, Buffer.from('a layer'), Buffer.from('{}')]
    for (let round = 0; round < 40; round += 1) {
      const number = await alice.make('/projects', { project_name: 'contended' })
      const parts = [await pusher.pushBlob('contended/app', config), await pusher.pushBlob('contended/app', layer)]
      const manifest = JSON.stringify(imageManifest({ digest: parts[0] ?? '', size: config.length }, [{ digest: parts[1] ?? '', size: layer.length }]))
      const push = () => pusher.call('PUT', '/v2/contended/app/manifests/v1', { body: manifest, headers: { 'Content-Type': type } })
      const end = () => alice.asked('DELETE', `/projects/${number}`)
      // Whoever is asked first is not always the faster one.
      const early = round % 2 === 0 ? undefined : end()
      const [pushed, ended] = await Promise.all([push(), early ?? end()])

      const read = (await pusher.call('GET', '/v2/contended/app/manifests/v1')).status
      const lives = await alice.asked('GET', `/projects/${number}`)
      // A push that found the project gone made another one of its name.
      expect([pushed.status, read]).toEqual(pushed.status === 201 ? [201, 200] : [404, 404])
      expect([ended, lives, pushed.status]).toEqual(ended === '200' ? ['200', '404 NOT_FOUND', pushed.status] : ['412 PRECONDITION', '200', 201])
      if (pushed.status === 201) {
        expect((await pusher.call('DELETE', `/v2/contended/app/manifests/${sha256(Buffer.from(manifest))}`)).status).toBe(202)
        expect(await alice.asked('DELETE', '/projects/contended')).toBe('200')
      }
      // Made again, it shows nothing of what was there.
      await alice.make('/projects', { project_name: 'contended' })
      expect((await pusher.call('GET', '/v2/contended/app/tags/list')).status).toBe(404)
      expect(await alice.asked('DELETE', '/projects/contended')).toBe('200')
    }
  })

  it('has a summary, of which everybody sees what their role shows', async () => {
    await alice.make('/projects', { project_name: 'summed', public: true })
    await alice.make('/projects/summed/members', { role_id: 5, member_user: { username: 'bob' } })
    await registryClient({ url: server.url, authorization: alice.authorization }).pushImage('summed/app', 'v1', Buffer.from('a layer'))
    const quota = { hard: { storage: -1 } }
    const counts = { project_admin_count: 1, maintainer_count: 0, developer_count: 0, guest_count: 0, limited_guest_count: 1 }
    expect(await alice.read('/projects/summed/summary')).toEqual({ repo_count: 1, ...counts, quota })
    expect(await bob.read('/projects/summed/summary')).toEqual({ repo_count: 1, quota })
    expect(await nobody.read('/projects/summed/summary')).toEqual({ repo_count: 1 })
  })
})

describe('the list of projects', () => {
  beforeAll(async () => {
    for (const [name, isPublic] of [['list-a', true], ['list-b', false], ['list-c', true], ['list-d', false]] as const) await alice.make('/projects', { project_name: name, public: isPublic })
    await alice.make('/projects/list-d/members', { role_id: 5, member_user: { username: 'bob' } })
  })

  it('holds what the caller may see', async () => {
    expect(names(await alice.read('/projects?name=list-'))).toEqual(['list-a', 'list-b', 'list-c', 'list-d'])
    expect(names(await bob.read('/projects?name=list-'))).toEqual(['list-a', 'list-c', 'list-d'])
    expect(names(await nobody.read('/projects?name=list-'))).toEqual(['list-a', 'list-c'])
    expect(names(await admin.read('/projects?name=list-'))).toEqual(['list-a', 'list-b', 'list-c', 'list-d'])
    const [own] = await bob.read<Project[]>('/projects?q=name=list-d')
    expect(own).toMatchObject({ current_user_role_id: 5, current_user_role_ids: [5], togglable: false })
  })

  it.each([
    ['q=name=~st-', 4],
    ['q=name=list-a', 1],
    ['name=list-&public=false', 2],
    ['name=list-&public=true', 2],
    ['q=name=~list-,public=true', 2],
    ['name=list-&owner=ALICE', 4],
    ['name=list-&owner=bob', 0],
    ['q=name=~list-,owner=alice', 4],
    ['q=name={list-a list-b nothing}', 2],
  ])('is filtered by %s', async (query, count) => {
    const answer = await alice.call('GET', `/projects?${query}`)
    expect([answer.status, (answer.body as Project[]).length, answer.headers.get('X-Total-Count')]).toEqual([200, count, String(count)])
  })

  it('comes in pages, in the order that is asked for', async () => {
    const first = await alice.call('GET', '/projects?name=list-&page_size=3&sort=-name')
    expect(names(first.body as Project[])).toEqual(['list-d', 'list-c', 'list-b'])
    const next = /<\/api\/v2\.0([^>]*)>; rel="next"/.exec(first.headers.get('Link') ?? '')?.[1] ?? ''
    const second = await alice.call('GET', next)
    expect([names(second.body as Project[]), second.headers.get('X-Total-Count'), second.headers.get('Link')?.includes('rel="prev"')]).toEqual([['list-a'], '4', true])
    for (const page of ['page_size=101', 'page_size=0', 'page=0', 'page_size=x']) expect(await alice.asked('GET', `/projects?${page}`)).toBe('400 BAD_REQUEST')
  })
})

describe('statistics', () => {
  it('count what the caller may see, and everything for administrators', async () => {
    type Counts = Record<string, number>
    const [all, own] = [await admin.read<Counts>('/statistics'), await bob.read<Counts>('/statistics')]
    expect(all['total_project_count']).toBe((all['private_project_count'] ?? 0) + (all['public_project_count'] ?? 0))
    expect(all['total_repo_count']).toBe(1)
    expect(own['public_project_count']).toBe(all['public_project_count'])
    expect(own['private_project_count']).toBeLessThan(all['private_project_count'] ?? 0)
    expect(Object.keys(own).filter((name) => name.startsWith('total'))).toEqual([])
    expect(await nobody.asked('GET', '/statistics')).toBe('401 UNAUTHORIZED')
  })
})
