import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { RefusalReason } from '../../../src/commands/activity/events.ts'
import { askingAs, makeUser } from '../../support/asking.ts'
import type { Asking } from '../../support/asking.ts'
import { PASSWORD, PULL, PUSH, ROLE_IDS, basic, bearer, claimsOf, fetchToken, makeProject, makeRobot } from '../../support/doors.ts'
import { registryClient } from '../../support/registry.ts'
import { SCOPE, SECRET, startWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
let server: World['server']
let admin: Asking
let status: World['status']
/** What the trail must say of what was tried, once for each time. */
const tried: RefusalReason[] = []

beforeAll(async () => {
  world = await startWorld()
  ;({ server, admin, status } = world)
})

afterAll(() => world.stop())

describe('from the answer on that says so, every way in ends when', () => {
  type Ways = { readonly token: string; readonly remembered: string; readonly refresh: string }

  async function loggedIn(who: string, scope: string): Promise<Ways> {
    const { body } = await fetchToken(server, who, [scope], '&offline_token=true')
    return { token: `Bearer ${body.token}`, remembered: who, refresh: body.refresh_token ?? '' }
  }

  async function refreshed({ refresh }: Ways, scope: string): Promise<string> {
    const response = await fetch(`${server.url}/service/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refresh, scope }) })
    const { token = '' } = (await response.json()) as { readonly token?: string }
    return response.status === 200 ? `200 ${String(claimsOf(token).access.length)}` : String(response.status)
  }

  /** What each way in gets: by token, by the remembered name and secret, and how many scopes the refresh token gives. */
  const seen = async (ways: Ways, scope = SCOPE, method = 'GET', path = SECRET): Promise<unknown[]> => [await status(ways.token, method, path), await status(ways.remembered, method, path), await refreshed(ways, scope)]

  async function member(name: string, role: keyof typeof ROLE_IDS = 'developer') {
    const user = await makeUser(server, name)
    const membership = await admin.make('/projects/secret/members', { role_id: ROLE_IDS[role], member_user: { username: name } })
    return { ...user, membership }
  }

  it('the password is changed', async () => {
    const { number, authorization } = await member('changed')
    const ways = await loggedIn(authorization, SCOPE)
    expect(await seen(ways)).toEqual([200, 200, '200 1'])
    expect(await admin.asked('PUT', `/users/${number}/password`, { new_password: 'Another-1-of-these' })).toBe('200')
    expect(await seen(ways)).toEqual([401, 401, '401'])
    tried.push('token-ended', 'credentials', 'token-ended')
    expect(await status(basic('changed', 'Another-1-of-these'))).toBe(200)
  })

  it('the user is deleted', async () => {
    const { number, authorization } = await member('deleted')
    const ways = await loggedIn(authorization, SCOPE)
    expect(await seen(ways)).toEqual([200, 200, '200 1'])
    expect(await admin.asked('DELETE', `/users/${number}`)).toBe('200')
    expect(await seen(ways)).toEqual([401, 401, '401'])
    tried.push('token-ended', 'credentials', 'token-ended')
    // Another of the name is another.
    await makeUser(server, 'deleted')
    expect(await seen(ways)).toEqual([401, 404, '401'])
  })

  it('the role is removed, or is one that may not', async () => {
    const { membership, authorization } = await member('removed')
    const ways = await loggedIn(authorization, 'repository:secret/app:pull,push')
    const push = () => seen(ways, 'repository:secret/app:push', 'POST', '/v2/secret/app/blobs/uploads/')
    expect(await push()).toEqual([202, 202, '200 1'])
    expect(await admin.asked('PUT', `/projects/secret/members/${membership}`, { role_id: ROLE_IDS.guest })).toBe('200')
    expect(await push()).toEqual([403, 403, '200 0'])
    tried.push('role', 'role')
    expect(await seen(ways)).toEqual([200, 200, '200 1'])
    expect(await admin.asked('DELETE', `/projects/secret/members/${membership}`)).toBe('200')
    expect(await seen(ways)).toEqual([404, 404, '200 0'])
    expect(await askingAs(server, { name: 'removed', secret: PASSWORD }).asked('GET', '/projects/secret')).toBe('404 NOT_FOUND')
    tried.push('role', 'role', 'role')
  })

  it("the administrator's flag is taken", async () => {
    const { number, authorization } = await makeUser(server, 'demoted')
    expect(await admin.asked('PUT', `/users/${number}/sysadmin`, { sysadmin_flag: true })).toBe('200')
    const ways = await loggedIn(authorization, SCOPE)
    expect(await seen(ways)).toEqual([200, 200, '200 1'])
    expect(await admin.asked('PUT', `/users/${number}/sysadmin`, { sysadmin_flag: false })).toBe('200')
    expect(await seen(ways)).toEqual([404, 404, '200 0'])
    expect(await askingAs(server, { name: 'demoted', secret: PASSWORD }).asked('GET', '/users')).toBe('403 FORBIDDEN')
    tried.push('role', 'role', 'role')
  })

  it.each([
    ['disabled', (id: number, body: object) => admin.asked('PUT', `/robots/${id}`, { ...body, disable: true }), 401],
    ['given another secret', (id: number) => admin.asked('PATCH', `/robots/${id}`, {}), 401],
    ['deleted', (id: number) => admin.asked('DELETE', `/robots/${id}`), 401],
    ['given less', (id: number, body: object) => admin.asked('PUT', `/robots/${id}`, { ...body, permissions: [{ kind: 'project', namespace: 'secret', access: [PUSH] }] }), 404],
  ] as const)('the robot is %s', async (how, end, answer) => {
    const { id, name, authorization, permissions } = await makeRobot(server, 'secret', how.replaceAll(' ', '-'), PULL)
    const ways = await loggedIn(authorization, SCOPE)
    expect(await seen(ways)).toEqual([200, 200, '200 1'])
    expect(await end(id, { name, level: 'project', duration: -1, permissions })).toBe('200')
    expect(await seen(ways)).toEqual([answer, answer, answer === 401 ? '401' : '200 0'])
    if (answer === 401) tried.push('token-ended', 'credentials', 'token-ended')
    else tried.push('role', 'role')
  })

  it('the project is deleted, and another of its name is another', async () => {
    await makeProject(server, 'ending', 'private', { dev: 'developer' })
    const robot = await makeRobot(server, 'ending', 'pusher', PULL, PUSH)
    const scope = 'repository:ending/app:pull,push'
    const [ofRobot, ofUser] = [await loggedIn(robot.authorization, scope), await loggedIn(basic('dev'), scope)]
    const [path, upload] = ['/v2/ending/app/tags/list', '/v2/ending/app/blobs/uploads/']
    expect(await seen(ofRobot, scope, 'POST', upload)).toEqual([202, 202, '200 1'])
    expect(await admin.asked('DELETE', '/projects/ending')).toBe('200')
    expect(await seen(ofRobot, scope, 'POST', upload)).toEqual([401, 401, '401'])
    expect(await status(ofUser.token, 'GET', path)).toBe(404)
    await makeProject(server, 'ending', 'private')
    expect(await seen(ofRobot, scope, 'POST', upload)).toEqual([401, 401, '401'])
    expect(await seen(ofUser, scope, 'POST', upload)).toEqual([403, 403, '200 0'])
  })

  it('the project is closed to everybody', async () => {
    await makeProject(server, 'closing', 'public')
    await registryClient(server).pushImage('closing/app', 'v1', Buffer.from('x'))
    const token = await bearer(server, undefined, 'repository:closing/app:pull')
    const path = '/v2/closing/app/manifests/v1'
    expect([await status(token, 'GET', path), await status(undefined, 'GET', path), await status(basic('eve'), 'GET', path)]).toEqual([200, 200, 200])
    expect(await admin.asked('PUT', '/projects/closing', { metadata: { public: 'false' } })).toBe('200')
    expect([await status(token, 'GET', path), await status(undefined, 'GET', path), await status(basic('eve'), 'GET', path)]).toEqual([401, 401, 404])
  })
})

it('and each that was refused is in the trail, at once or counted', async () => {
  expect(tried.length).toBeGreaterThan(20)
  expect(await world.missing(tried)).toEqual([])
})
