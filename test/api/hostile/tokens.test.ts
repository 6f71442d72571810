import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import type { webcrypto } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Client } from 'pg'
import type { RefusalReason } from '../../src/commands/activity/events.ts'
import { askingAs, makeUser } from '../support/asking.ts'
import type { Asking } from '../support/asking.ts'
import { PASSWORD, PULL, PUSH, ROLE_IDS, askAs, basic, bearer, claimsOf, fetchToken, makeProject, makeRobot } from '../support/doors.ts'
import type { Authorization } from '../support/doors.ts'
import { insider } from '../support/insider.ts'
import { testDatabase } from '../support/postgres.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { wireClient } from '../support/wire.ts'

const SECRET = '/v2/secret/app/manifests/v1'
const SCOPE = 'repository:secret/app:pull'

let database: Awaited<ReturnType<typeof testDatabase>>
let server: VarveServer
let wire: ReturnType<typeof wireClient>
let admin: Asking
let inside: Awaited<ReturnType<typeof insider>>
let digest: string
/** What the trail must say of what was tried, once for each time. */
const tried: RefusalReason[] = []

const ask = (who: Authorization, method: string, path: string, headers = {}) => askAs(wire, who, method, path, { headers })
const status = async (who: Authorization, method = 'GET', path = SECRET): Promise<number> => (await ask(who, method, path)).status

describe('what hostile clients try', () => {
  beforeAll(async () => {
    database = await testDatabase()
    const { host, port, user, database: name } = database.connection
    server = await startVarve({ env: { VARVE_POSTGRES_URL: `postgres://${user}@${encodeURIComponent(host)}:${port}/${name}` } })
    wire = wireClient(server)
    admin = askingAs(server)
    inside = await insider(database.connection, server)
    for (const each of ['dev', 'eve']) await makeUser(server, each)
    await makeProject(server, 'secret', 'private', { dev: 'developer' })
    await makeProject(server, 'open', 'public')
    await makeProject(server, 'other', 'private')
    const client = registryClient(server)
    digest = (await client.pushImage('secret/app', 'v1', Buffer.from('secret'))).digest
    await client.pushImage('open/app', 'v1', Buffer.from('open'))
    await client.pushImage('library/app', 'v1', Buffer.from('library'))
  })

  afterAll(async () => {
    wire.close()
    await inside.close()
    await server.stop()
    await database.drop()
  })

  describe('a token', () => {
    const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const parts = async (who = basic('dev'), scope = SCOPE) => {
      const [header = '', payload = '', signature = ''] = (await fetchToken(server, who, [scope])).body.token.split('.')
      return { header, payload, signature, head: JSON.parse(Buffer.from(header, 'base64url').toString()) as { readonly kid: string } }
    }
    const publicJwk = async (): Promise<webcrypto.JsonWebKey> => {
      const { keys } = (await (await fetch(`${server.url}/service/jwks`)).json()) as { readonly keys: readonly webcrypto.JsonWebKey[] }
      return keys[0] ?? {}
    }
    const es256 = (data: string, key: Parameters<typeof sign>[2]): string => sign('sha256', Buffer.from(data), { key: key as never, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    const subject = async (): Promise<{ sub: string; cred: string }> => {
      const { sub, cred } = claimsOf((await fetchToken(server, basic('dev'), [])).body.token) as unknown as { readonly sub: string; readonly cred: string }
      return { sub, cred }
    }
    const access = [{ type: 'repository', name: 'secret/app', actions: ['pull'] }]

    /** How, why the trail says that it was refused, and the token. */
    const FORGED: readonly (readonly [string, RefusalReason, () => Promise<string>])[] = [
      ['with alg none', 'token-algorithm', async () => { const { payload, head } = await parts(); return `${encoded({ ...head, alg: 'none' })}.${payload}.` }],
      ['with alg none and a signature', 'token-algorithm', async () => { const { payload, head, signature } = await parts(); return `${encoded({ ...head, alg: 'none' })}.${payload}.${signature}` }],
      ['without a signature', 'token-signature', async () => { const { payload, header } = await parts(); return `${header}.${payload}.` }],
      ['with HS256 and the public key as its secret', 'token-algorithm', async () => {
        const { payload, head } = await parts()
        const data = `${encoded({ ...head, alg: 'HS256' })}.${payload}`
        const pem = createPublicKey({ key: await publicJwk(), format: 'jwk' }).export({ type: 'spki', format: 'pem' })
        return `${data}.${createHmac('sha256', pem).update(data).digest('base64url')}`
      }],
      ['with an unknown kid', 'token-key', async () => {
        const { payload, head } = await parts()
        const data = `${encoded({ ...head, kid: 'unknown' })}.${payload}`
        return `${data}.${es256(data, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)}`
      }],
      ['with a kid that is a path', 'token-key', async () => { const { payload, head, signature } = await parts(); return `${encoded({ ...head, kid: '../../../../dev/null' })}.${payload}.${signature}` }],
      ['with the right kid, signed by another key', 'token-signature', async () => { const { payload, header } = await parts(); return `${header}.${payload}.${es256(`${header}.${payload}`, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)}` }],
      ['that brings its own key', 'token-malformed', async () => {
        const { payload, head } = await parts()
        const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
        const data = `${encoded({ ...head, jwk: pair.publicKey.export({ format: 'jwk' }) })}.${payload}`
        return `${data}.${es256(data, pair.privateKey)}`
      }],
      ['whose scope was widened after it was signed', 'token-signature', async () => {
        const { header, payload, signature } = await parts(basic('dev'), 'repository:open/app:pull')
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
        return `${header}.${encoded({ ...claims, access })}.${signature}`
      }],
      ['for another audience', 'token-audience', async () => (await inside.tokens({ audience: 'another.example' })).issueAccess(await subject(), access, 600).token],
      ['of another issuer', 'token-issuer', async () => (await inside.tokens({ issuer: 'https://another.example' })).issueAccess(await subject(), access, 600).token],
      ['that has expired', 'token-expired', async () => (await inside.tokens({ now: () => Date.now() - 3_600_000 })).issueAccess(await subject(), access, 600).token],
      ['that is not good yet', 'token-not-yet', async () => (await inside.tokens({ now: () => Date.now() + 3_600_000 })).issueAccess(await subject(), access, 600).token],
      ['that only gives other tokens', 'token-type', async () => (await inside.tokens()).issueRefresh(await subject(), 600)],
      ['of a robot that is none', 'token-ended', async () => (await inside.tokens()).issueAccess({ sub: 'robot:00000000-0000-4000-8000-000000000000', cred: 'x' }, access, 600).token],
      ['of 50,000 characters', 'token-malformed', () => Promise.resolve('x'.repeat(50_000))],
    ]

    it.each(FORGED)('%s is refused', async (_, reason, forge) => {
      tried.push(reason, reason)
      const token = await forge()
      const { status: refused, headers, body } = await ask(`Bearer ${token}`, 'GET', SECRET)
      expect([refused, headers['www-authenticate']]).toEqual([401, `Bearer realm="${server.url}/service/token",service="varve",error="invalid_token"`])
      expect(body.toString()).toBe('{"errors":[{"code":"UNAUTHORIZED","message":"the token is not good, or not good any more"}]}')
      expect((await ask(`Bearer ${token}`, 'GET', '/api/v2.0/projects/secret')).status).toBe(401)
      expect(server.output()).not.toContain(token)
    })

    it('that the registry itself would issue is let in, so the forger here signs well', async () => {
      expect(await status(`Bearer ${(await inside.tokens()).issueAccess(await subject(), access, 600).token}`)).toBe(200)
    })

    it("of another project's robot opens nothing, whatever it is asked for", async () => {
      const robot = await makeRobot(server, 'other', 'finder', PULL, PUSH)
      expect(await status(robot.authorization)).toBe(404)
      expect(claimsOf((await fetchToken(server, robot.authorization, [SCOPE])).body.token).access).toEqual([])
      expect(await status(await bearer(server, robot.authorization, SCOPE))).toBe(401)
      // Nor one that says more than its robot may do now.
      const { sub, cred } = claimsOf((await fetchToken(server, robot.authorization, [])).body.token) as unknown as { readonly sub: string; readonly cred: string }
      expect(await status(`Bearer ${(await inside.tokens()).issueAccess({ sub, cred }, access, 600).token}`)).toBe(404)
      tried.push('role', 'scope', 'role')
    })
  })

  describe('a forged Host or forwarded address', () => {
    const FORGED = {
      Host: 'evil.example', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Port': '1', 'X-Original-URL': 'https://evil.example/',
      Forwarded: 'for=203.0.113.7;host=evil.example;proto=https',
    }

    it.each([
      ['GET', '/v2/', undefined], ['GET', SECRET, undefined], ['POST', '/v2/secret/app/blobs/uploads/', basic('dev')], ['GET', '/v2/secret/app/tags/list?n=0', basic('dev')],
      ['GET', '/v2/_catalog?n=1', basic('dev')], ['GET', '/service/token', undefined], ['GET', '/service/jwks', undefined], ['GET', '/api/v2.0/projects?page_size=1', basic('dev')],
      ['GET', '/api/v2.0/systeminfo', undefined], ['GET', '/api/v2.0/openapi.json', undefined],
    ] as const)('is not followed by %s %s', async (method, path, who) => {
      const { status: answered, headers, body } = await ask(who, method, path, FORGED)
      expect(answered).toBeLessThan(500)
      expect(`${JSON.stringify(headers)}${body.toString()}`).not.toMatch(/evil|203\.0\.113/)
      if (answered === 401) expect(headers['www-authenticate']).toContain(`realm="${server.url}/service/token"`)
    })

    it('is not the issuer of a token', async () => {
      const { body } = await ask(basic('dev'), 'GET', '/service/token', FORGED)
      expect(claimsOf((JSON.parse(body.toString()) as { readonly token: string }).token).iss).toBe(server.url)
    })
  })

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
    })

    it("the administrator's flag is taken", async () => {
      const { number, authorization } = await makeUser(server, 'demoted')
      expect(await admin.asked('PUT', `/users/${number}/sysadmin`, { sysadmin_flag: true })).toBe('200')
      const ways = await loggedIn(authorization, SCOPE)
      expect(await seen(ways)).toEqual([200, 200, '200 1'])
      expect(await admin.asked('PUT', `/users/${number}/sysadmin`, { sysadmin_flag: false })).toBe('200')
      expect(await seen(ways)).toEqual([404, 404, '200 0'])
      expect(await askingAs(server, { name: 'demoted', secret: PASSWORD }).asked('GET', '/users')).toBe('403 FORBIDDEN')
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

  describe('another spelling of a name', () => {
    const SPELLINGS = [
      'open/../secret/app', 'open/app/../../secret/app', 'library/../secret/app', '../secret/app', './secret/app', 'secret/./app', 'secret//app', '/secret/app', '//secret/app',
      'open/%2e%2e/secret/app', '%2e%2e/secret/app', 'open/%2E%2E%2Fsecret/app', 'open%2f..%2fsecret/app', 'open%2F..%2Fsecret%2Fapp', 'secret%2Fapp', 'secret%2fapp', 'secret%252Fapp', 'open%252f..%252fsecret%252fapp',
      'SECRET/app', 'Secret/App', 'secret/APP', 'secret;/app', 'secret;x=y/app', 'open/..;/secret/app', 'secret/app;', 'secret/app.', 'secret./app', 'secret/app%00', 'secret%00/app', 'secret\\app', 'open\\..\\secret\\app',
      'secret%5capp', 'secret/app%20', '%73ecret/app', '%2573ecret/app', 'secret/app/', 'secret/app%3f', 's\u00e9cret/app', '\uff53ecret/app', 'open/app/manifests/v1/../../../../secret/app',
    ] as const
    const raw = (text: string): string => (/^[\x21-\x7e]*$/.test(text) ? text : encodeURI(text))

    it.each(SPELLINGS)('%s opens nothing at /v2', async (name) => {
      for (const who of [undefined, basic('eve'), await bearer(server, basic('eve'), `repository:${name}:pull`, 'repository:open/app:pull')]) {
        for (const rest of ['manifests/v1', `manifests/${digest}`, 'tags/list']) {
          const { status: answered, body, headers } = await ask(who, 'GET', `/v2/${raw(name)}/${rest}`)
          expect([answered >= 400 && answered < 500, headers['docker-content-digest']]).toEqual([true, undefined])
          expect(body.toString()).not.toContain('schemaVersion')
        }
      }
    })

    it.each(SPELLINGS)('%s gets no token for the secret, and no mount from there', async (name) => {
      const { body } = await fetchToken(server, basic('eve'), [`repository:${name}:pull`, `repository:${encodeURIComponent(name)}:pull`])
      expect(claimsOf(body.token).access.filter((each) => /^\/*secret\//i.test(each.name))).toEqual([])
      const { status: answered } = await ask(basic('eve'), 'POST', `/v2/eve/app/blobs/uploads/?mount=${digest}&from=${raw(name)}`)
      expect([202, 400]).toContain(answered)
    })

    it.each([
      'open/../secret', 'open%2f..%2fsecret', '..%2fprojects%2fsecret', 'SECRET', 'Secret', 'secret;x', 'secret%00', 'secret.', '%2e%2e/projects/secret', './secret', '/secret', '%2573ecret', '%73ecret', 'secret%20', 'secret', 'secret/', '\uff53ecret',
    ])('%s opens nothing at /api/v2.0', async (name) => {
      for (const path of ['', '/members', '/summary']) {
        const { status: answered, body } = await ask(basic('eve'), 'GET', `/api/v2.0/projects/${raw(name)}${path}`)
        expect([answered, body.toString()]).toEqual([expect.any(Number), expect.stringMatching(/^\{"errors":/)])
        expect([400, 404]).toContain(answered)
      }
    })

    it('opens no other door, however the door is written', async () => {
      for (const path of ['/API/v2.0/users', '/api/V2.0/users', '/api/v2.0//users', '/api/v2.0/./users', '/api/v2.0/users/', '/v2/../api/v2.0/users', '/service/../api/v2.0/users', '/api/v2.0/%75sers', '//api/v2.0/users', '/V2/_catalog', '/v2//_catalog', '/v2/%5fcatalog']) {
        const { status: answered, body } = await ask(undefined, 'GET', path)
        expect([path, answered >= 400 && answered < 500, body.toString().includes('"errors"')]).toEqual([path, true, true])
      }
    })
  })

  it('and what was typed as a name or a password stands in no log, no event and no read model', async () => {
    const [name, secret] = ['a-name-typed-by-mistake-7h', 'A-password-typed-by-mistake-7h']
    for (const path of ['/v2/', '/api/v2.0/users/current', '/service/token']) expect(await status(basic(name, secret), 'GET', path)).toBe(401)
    expect(await status(basic(secret, name), 'GET', '/service/token')).toBe(401)
    expect(await status(`Bearer ${secret}`, 'GET', '/v2/')).toBe(401)
    await registryClient(server).pushImage('library/app', 'after', Buffer.from('x'))
    const client = new Client(database.connection)
    await client.connect()
    try {
      const { rows } = await client.query<{ table: string }>("select format('%I.%I', schemaname, tablename) as table from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
      expect(rows.length).toBeGreaterThan(10)
      for (const { table } of rows) {
        const found = await client.query(`select 1 from ${table} t where t::text like '%typed-by-mistake%' limit 1`)
        expect([table, found.rowCount]).toEqual([table, 0])
      }
    } finally {
      await client.end()
    }
    expect(server.output()).not.toContain('typed-by-mistake')
    expect(server.output()).not.toContain(PASSWORD)
  })

  it('a forged address does not spread guesses over many networks', async () => {
    const answers = new Set<number>()
    for (let index = 0; index < 30; index += 1) {
      answers.add((await ask(basic(`guessed-${index}`, 'Wrong-1-of-many'), 'GET', '/service/token', { 'X-Forwarded-For': `203.0.113.${index}`, Forwarded: `for=203.0.113.${index}` })).status)
    }
    expect([...answers]).toEqual([401, 429])
  })

  it('and each that was refused is in the trail, at once or counted', async () => {
    tried.push('throttled')
    // A server that ends writes down what it had only counted.
    await server.restart()
    const recorded = await inside.refusals()
    expect(tried.length).toBeGreaterThan(40)
    for (const reason of new Set(tried)) {
      const expected = tried.filter((each) => each === reason).length
      expect([reason, Math.min(recorded.get(reason) ?? 0, expected)]).toEqual([reason, expected])
    }
  })
})
