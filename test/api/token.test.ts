import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import type { JSONWebKeySet } from 'jose'
import { askingAs, makeUser } from '../support/asking.ts'
import { PASSWORD, askAs, basic, bearer, claimsOf, fetchToken, makeProject } from '../support/doors.ts'
import type { Authorization, Fetched } from '../support/doors.ts'
import { insider } from '../support/insider.ts'
import { testDatabase } from '../support/postgres.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { wireClient } from '../support/wire.ts'

const NOBODY: Authorization = undefined
const WRONG = 'Not-the-password-1'

let database: Awaited<ReturnType<typeof testDatabase>>
let proxy: Awaited<ReturnType<typeof startPostgresProxy>>
let server: VarveServer
let wire: ReturnType<typeof wireClient>
let layer: string

// Each in a block of its own: what it started ends before the Postgres of the file does.
describe('tokens', () => {
  beforeAll(async () => {
    database = await testDatabase()
    proxy = await startPostgresProxy(database.connection)
    server = await startVarve({ env: { VARVE_POSTGRES_URL: proxy.url } })
    wire = wireClient(server)
    for (const name of ['dev', 'gus', 'eve', 'sid', 'tim', 'una', 'vic']) await makeUser(server, name)
    await makeProject(server, 'hidden', 'private', { dev: 'developer', gus: 'guest' })
    await makeProject(server, 'open', 'public')
    await makeProject(server, 'own', 'private', { dev: 'developer', eve: 'developer' })
    const { pushImage } = registryClient(server)
    layer = (await pushImage('hidden/app', 'v1', Buffer.from('a layer that is hidden'))).layerDigest
    await pushImage('open/app', 'v1', Buffer.from('a layer for everybody'))
  })

  afterAll(async () => {
    wire.close()
    await server.stop()
    proxy.stop()
    await database.drop()
  })

  const ask = (who: Authorization, method: string, path: string) => askAs(wire, who, method, path)
  const status = async (who: Authorization, method: string, path: string): Promise<number> => (await ask(who, method, path)).status
  const granted = async (who: Authorization, ...scopes: string[]): Promise<string[]> =>
    claimsOf((await fetchToken(server, who, scopes)).body.token).access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`)

  async function post(form: Readonly<Record<string, string>>): Promise<Fetched> {
    const response = await fetch(`${server.url}/service/token`, { method: 'POST', body: new URLSearchParams(form) })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Fetched['body'] }
  }

  const inPassword = (name: string, password: string) => ({ grant_type: 'password', service: 'varve', client_id: 'test', username: name, password })

  describe('GET /service/token', () => {
    it.each([
      ['nobody', NOBODY, ['repository:open/app:pull,push'], ['repository:open/app:pull']],
      ['nobody', NOBODY, ['repository:hidden/app:pull', 'registry:catalog:*'], []],
      ['a guest', basic('gus'), ['repository:hidden/app:pull,push'], ['repository:hidden/app:pull']],
      ['a developer', basic('dev'), ['repository:hidden/app:*'], ['repository:hidden/app:pull,push']],
      ['a stranger', basic('eve'), ['repository:hidden/app:pull,push'], []],
      ['a stranger, of a repository that is not there,', basic('eve'), ['repository:open/none:pull'], ['repository:open/none:pull']],
      ['whoever may make projects', basic('eve'), ['repository:not-there-yet/app:pull,push,delete'], ['repository:not-there-yet/app:pull,push']],
      ['whoever logged in', basic('eve'), ['registry:catalog:*'], ['registry:catalog:*']],
      ['several scopes', basic('dev'), ['repository:hidden/app:pull repository:open/app:pull', 'repository:own/app:push'], ['repository:hidden/app:pull', 'repository:open/app:pull', 'repository:own/app:push']],
      ['what is asked twice', basic('dev'), ['repository:own/app:pull', 'repository:own/app:push'], ['repository:own/app:pull,push']],
      ['a class of repositories', basic('dev'), ['repository(plugin):own/app:pull'], ['repository:own/app:pull']],
      ['what is no scope', basic('dev'), ['', 'repository', 'repository:own/app', 'repository:OWN/app:pull', 'repository:own/../hidden/app:pull', 'other:own/app:pull', 'registry:other:*', 'repository:own/app:admin'], []],
    ] as const)('gives %s what their role allows', async (_, who, scopes, expected) => {
      expect(await granted(who, ...scopes)).toEqual(expected)
    })

    it('gives an administrator everything, by *', async () => {
      expect(await granted(server.authorization, 'repository:hidden/app:*')).toEqual(['repository:hidden/app:pull,push,delete'])
    })

    it('answers as the specification has it, and names this registry whatever service was asked for', async () => {
      const { body, headers } = await fetchToken(server, basic('dev'), ['repository:own/app:pull'], '&service=another.example')
      expect(body).toEqual({ token: body.token, access_token: body.token, expires_in: expect.any(Number), issued_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) })
      expect(headers.get('Cache-Control')).toBe('no-store')
      expect(claimsOf(body.token)).toMatchObject({ iss: server.url, aud: 'varve' })
      expect(JSON.stringify(claimsOf(body.token))).not.toContain('dev')
    })

    it('gives a refresh token to whoever asks for one and is somebody', async () => {
      expect((await fetchToken(server, basic('dev'), [], '&offline_token=true')).body.refresh_token).toEqual(expect.any(String))
      expect((await fetchToken(server, NOBODY, [], '&offline_token=true')).body).not.toHaveProperty('refresh_token')
    })

    it.each([
      ['a wrong password', basic('dev', WRONG)],
      ['an unknown name', basic('nobody-of-this-name', WRONG)],
      ['no password', basic('dev', '')],
      ['what is no Basic', 'Basic !'],
      ['another scheme', 'Negotiate x'],
    ])('refuses %s with a challenge', async (_, who) => {
      const { status: refused, headers } = await fetchToken(server, who, ['repository:open/app:pull'])
      expect([refused, headers.get('WWW-Authenticate')]).toEqual([401, `Bearer realm="${server.url}/service/token",service="varve"`])
    })

    it('gives no token for a token', async () => {
      const { status: refused, headers } = await fetchToken(server, await bearer(server, basic('dev'), 'repository:own/app:pull'), [])
      expect([refused, headers.get('WWW-Authenticate')]).toEqual([401, expect.stringContaining('/service/token')])
    })
  })

  describe('POST /service/token', () => {
    it('takes a name and a password, and then the refresh token', async () => {
      const first = await post({ ...inPassword('dev', PASSWORD), access_type: 'offline', scope: 'repository:own/app:pull' })
      expect(claimsOf(first.body.token).access).toEqual([{ type: 'repository', name: 'own/app', actions: ['pull'] }])
      const refresh = first.body.refresh_token ?? ''
      const second = await post({ grant_type: 'refresh_token', service: 'varve', client_id: 'test', refresh_token: refresh, scope: 'repository:own/app:push repository:hidden/app:pull' })
      expect(claimsOf(second.body.token).access.map(({ name }) => name)).toEqual(['own/app', 'hidden/app'])
      expect(second.body).not.toHaveProperty('refresh_token')
      // Neither kind passes for the other.
      expect(await status(`Bearer ${refresh}`, 'GET', '/v2/')).toBe(401)
      expect((await post({ grant_type: 'refresh_token', refresh_token: second.body.token })).status).toBe(401)
    })

    it('gives no refresh token to who did not ask for one', async () => {
      expect((await post(inPassword('dev', PASSWORD))).body).not.toHaveProperty('refresh_token')
    })

    it.each([
      [401, inPassword('dev', WRONG)],
      [401, { grant_type: 'refresh_token', refresh_token: 'x.y.z' }],
      [400, {}],
      [400, { grant_type: 'password', username: 'dev' }],
      [400, { grant_type: 'refresh_token' }],
      [400, { grant_type: 'client_credentials', username: 'dev', password: PASSWORD }],
      [400, { grant_type: 'authorization_code', code: 'x' }],
    ] as const)('answers %i to %j', async (expected, form) => {
      expect((await post(form)).status).toBe(expected)
    })

    it.each([
      [413, 'application/x-www-form-urlencoded', 'x='.padEnd(70_000, 'x')],
      [400, 'application/x-www-form-urlencoded; charset=klingon', 'grant_type=password'],
      [400, 'application/json', '{"grant_type":"password","username":"dev","password":"x"}'],
    ])('answers %i to %s that is no form', async (expected, type, body) => {
      const answer = await wire.sound('POST', '/service/token', { anonymous: true, headers: { 'Content-Type': type }, body })
      expect(answer.status).toBe(expected)
    })
  })

  describe('GET /service/jwks', () => {
    const jwks = async (): Promise<JSONWebKeySet> => (await (await fetch(`${server.url}/service/jwks`)).json()) as JSONWebKeySet

    it('shows the keys that anybody can check a token by, and nothing of the private ones', async () => {
      const { token } = (await fetchToken(server, basic('dev'), [])).body
      const keys = await jwks()
      const { protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), { issuer: server.url, audience: 'varve', algorithms: ['ES256'] })
      expect(keys.keys).toEqual([{ kty: 'EC', crv: 'P-256', use: 'sig', alg: 'ES256', kid: protectedHeader.kid, x: expect.any(String), y: expect.any(String) }])
    })

    it('shows the new key and the old one after a rotation, whose tokens are honoured until they expire', async () => {
      const before = await bearer(server, basic('dev'), 'repository:own/app:pull')
      const [old] = (await jwks()).keys
      const inside = await insider(database.connection, server)
      const kid = await inside.rotate()
      await inside.close()
      await server.restart()
      expect((await jwks()).keys.map((key) => key.kid).sort()).toEqual([old?.kid, kid].sort())
      expect(await status(before, 'GET', '/v2/')).toBe(200)
      const after = (await fetchToken(server, basic('dev'), [])).body.token
      expect(JSON.parse(Buffer.from(after.split('.')[0] ?? '', 'base64url').toString())).toMatchObject({ alg: 'ES256', kid })
      await jwtVerify(after, createLocalJWKSet(await jwks()))
    })
  })

  describe('access', () => {
    const [pull, push, drop] = ['GET manifests/v1', 'POST blobs/uploads/', 'DELETE manifests/none']
    const asked = async (who: Authorization, name: string, what: string): Promise<number> => {
      const [method = '', rest = ''] = what.split(' ')
      return status(who, method, `/v2/${name}/${rest}`)
    }

    it.each([
      ['nobody', NOBODY, 'open/app', [200, 401, 401]],
      ['nobody', NOBODY, 'hidden/app', [401, 401, 401]],
      ['a stranger', basic('eve'), 'open/app', [200, 403, 403]],
      ['a stranger', basic('eve'), 'hidden/app', [404, 403, 404]],
      ['a guest', basic('gus'), 'hidden/app', [200, 403, 403]],
      ['a developer', basic('dev'), 'hidden/app', [200, 202, 403]],
    ] as const)('of %s is the same by token and by Basic', async (_, who, name, expected) => {
      const scopes = `repository:${name}:pull,push,delete`
      const token = await bearer(server, who, scopes)
      const held = (await granted(who, scopes)).join()
      for (const [index, what] of [pull, push, drop].entries()) {
        const action = ['pull', 'push', 'delete'][index] ?? ''
        expect([what, await asked(who, name, what)]).toEqual([what, expected[index]])
        // A token holds no more than the role allows, so what is beyond it is told as too narrow a token.
        expect([what, await asked(token, name, what)]).toEqual([what, held.includes(action) ? expected[index] : 401])
      }
    })

    it('is refused where the token is too narrow, with what a wider one is asked for', async () => {
      const narrow = await bearer(server, basic('dev'), 'repository:hidden/app:pull')
      const { status: refused, headers } = await ask(narrow, 'POST', '/v2/hidden/app/blobs/uploads/')
      expect([refused, headers['www-authenticate']]).toEqual([
        401, `Bearer realm="${server.url}/service/token",service="varve",scope="repository:hidden/app:pull,push",error="insufficient_scope"`,
      ])
      expect(await status(narrow, 'GET', '/v2/own/app/tags/list')).toBe(401)
      expect(await status(narrow, 'GET', '/v2/_catalog')).toBe(401)
    })

    it('is for /v2 alone: a token opens no other door', async () => {
      const token = await bearer(server, server.authorization, 'registry:catalog:*')
      for (const path of ['/api/v2.0/users/current', '/api/v2.0/projects']) expect(await status(token, 'GET', path)).toBe(401)
    })

    it('to lists shows what each may see', async () => {
      const listed = async (who: Authorization): Promise<string[]> =>
        (JSON.parse((await ask(await bearer(server, who, 'registry:catalog:*'), 'GET', '/v2/_catalog')).body.toString()) as { repositories: string[] }).repositories
      expect(await listed(server.authorization)).toEqual(['hidden/app', 'open/app'])
      expect(await listed(basic('gus'))).toEqual(['hidden/app', 'open/app'])
      expect(await listed(basic('eve'))).toEqual(['open/app'])
      const projects = async (who: Authorization): Promise<string[]> => (JSON.parse((await ask(who, 'GET', '/api/v2.0/projects')).body.toString()) as { name: string }[]).map(({ name }) => name).sort()
      expect(await projects(basic('gus'))).toEqual(['hidden', 'open'])
      expect(await projects(NOBODY)).toEqual(['open'])
    })
  })

  describe('a mount', () => {
    const mount = (from: string) => `/v2/own/app/blobs/uploads/?mount=${layer}&from=${from}`
    const PUSH_OWN = 'repository:own/app:pull,push'

    it('needs a pull of its source: without one, it is as if the source were not there', async () => {
      for (const who of [basic('eve'), await bearer(server, basic('eve'), PUSH_OWN, 'repository:hidden/app:pull')]) {
        const [refused, absent] = [await ask(who, 'POST', mount('hidden/app')), await ask(who, 'POST', mount('hidden/none'))]
        expect([refused.status, absent.status, refused.body.toString()]).toEqual([202, 202, ''])
        expect(await status(who, 'POST', `/v2/own/app/blobs/uploads/?mount=${layer}`)).toBe(202)
      }
    })

    it('whose token is for the target alone asks for a wider one, where there is one to be had', async () => {
      const { status: refused, headers } = await ask(await bearer(server, basic('dev'), PUSH_OWN), 'POST', mount('hidden/app'))
      expect([refused, headers['www-authenticate']]).toEqual([
        401, `Bearer realm="${server.url}/service/token",service="varve",scope="${PUSH_OWN} repository:hidden/app:pull",error="insufficient_scope"`,
      ])
      expect(await status(await bearer(server, basic('eve'), PUSH_OWN), 'POST', mount('hidden/app'))).toBe(202)
    })

    it('is made by who may pull there', async () => {
      expect(await status(await bearer(server, basic('dev'), PUSH_OWN, 'repository:hidden/app:pull'), 'POST', mount('hidden/app'))).toBe(201)
      expect(await status(basic('dev'), 'POST', mount('hidden/app'))).toBe(201)
    })
  })

  it('of a user who is no administrator let five layers be pushed at once into a new project, which becomes theirs', async () => {
    const token = await bearer(server, basic('eve'), 'repository:fresh/app:pull,push')
    const { pushBlob, pushImage } = registryClient({ url: server.url, authorization: token })
    const layers = await Promise.all([1, 2, 3, 4, 5].map((number) => pushBlob('fresh/app', Buffer.from(`layer ${number}`))))
    expect(new Set(layers).size).toBe(5)
    await pushImage('fresh/app', 'v1', Buffer.from('layer 1'))
    const eve = askingAs(server, { name: 'eve', secret: PASSWORD })
    expect(await eve.read('/projects/fresh')).toMatchObject({ name: 'fresh', owner_name: 'eve', current_user_role_id: 1, metadata: { public: 'false' } })
    expect(await status(token, 'GET', '/v2/fresh/app/manifests/v1')).toBe(200)
    expect(await status(basic('dev'), 'GET', '/v2/fresh/app/manifests/v1')).toBe(404)
  })

  it('are not given while an account waits, at any door, nor to a right password; who logged in before goes on', async () => {
    const remembered = basic('sid')
    expect((await fetchToken(server, remembered, [])).status).toBe(200)
    for (const [tries, spelling] of ['sid', 'SID', 'ｓid', ' sid', 'Sid', 'ŝid'].entries()) await fetchToken(server, basic(spelling, `${WRONG}${tries}`), [])
    const waiting = await fetchToken(server, basic('sid', WRONG), [])
    expect([waiting.status, Number(waiting.headers.get('Retry-After')) > 0]).toEqual([429, true])
    expect((await post(inPassword('sid', WRONG))).status).toBe(429)
    for (const path of ['/v2/', '/api/v2.0/users/current']) {
      const answer = await ask(basic('sid', WRONG), 'GET', path)
      expect([path, answer.status, Number(answer.headers['retry-after']) > 0]).toEqual([path, 429, true])
    }
    expect((await fetchToken(server, remembered, [])).status).toBe(200)
    // Others are not kept from logging in by it.
    expect((await fetchToken(server, basic('tim'), [])).status).toBe(200)
  })

  it('are not given while the registry cannot look up who asks: 503, and when to try again', async () => {
    expect((await fetchToken(server, basic('una'), [])).status).toBe(200)
    await server.restart()
    proxy.hold('varve requests')
    try {
      const answer = await fetchToken(server, basic('una'), [])
      expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '5'])
    } finally {
      proxy.release()
    }
    expect((await fetchToken(server, basic('una'), [])).status).toBe(200)
  }, 60_000)

  it('are not given while a login cannot be put on record, and the next try is put there', async () => {
    proxy.hold()
    try {
      expect((await fetchToken(server, basic('vic'), [])).status).toBe(503)
    } finally {
      proxy.release()
    }
    const { status, headers } = await fetchToken(server, basic('vic'), [])
    const { stdout } = await server.varve('audit', '--action', 'login', '--actor', 'vic', '--json')
    const request = headers.get('X-Request-Id') ?? 'none'
    expect([status, stdout.split('\n').filter((line) => line.includes(request))]).toEqual([200, [expect.stringContaining('"password"')]])
  }, 60_000)
})
