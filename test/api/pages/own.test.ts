import { request } from 'node:http'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { makeUser } from '../../support/asking.ts'
import { managementClient } from '../../support/management.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'
import { webClient } from '../../support/web.ts'
import type { WebClient } from '../../support/web.ts'

const SECRET = 'Of-lakes-and-1-river'
let server: VarveServer

beforeAll(async () => {
  server = await startVarve()
})

async function loggedIn(name: string): Promise<WebClient> {
  const client = webClient(server.url)
  expect(await client.logIn(name, SECRET)).toMatchObject({ status: 303, location: '/' })
  return client
}

const linesOf = (trail: string, request: string): string[] => trail.split('\n').filter((line) => line.includes(request))
const entries = async (action: string): Promise<string> => (await server.varve('audit', '--action', action, '--json')).stdout

describe('the page at the root', () => {
  it('lets log in, says who did, and lets log out', async () => {
    await makeUser(server, 'anna')
    const client = webClient(server.url)
    const before = await client.ask('GET', '/')
    expect([before.status, before.text]).toEqual([200, expect.stringContaining('action="/c/login"')])
    expect(await client.logIn('anna', SECRET)).toMatchObject({ status: 303, location: '/' })
    expect((await client.ask('GET', '/')).text).toContain('You are logged in as <code>anna</code>')
    const csrf = await client.csrf()
    const cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join()
    expect(await client.ask('POST', '/c/log_out', { form: { csrf } })).toMatchObject({ status: 303, location: '/' })
    expect(client.cookies.size).toBe(0)
    // The server knows it no more, whoever kept it.
    expect((await fetch(`${server.url}/api/v2.0/users/current`, { headers: { Cookie: cookie } })).status).toBe(401)
    expect(await entries('login')).toContain('"password"')
  })

  it('runs nothing, is in nobody’s frame, and is kept nowhere', async () => {
    const { headers } = await webClient(server.url).ask('GET', '/')
    expect(headers.get('Content-Security-Policy')).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/=]+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/)
    expect([headers.get('Cache-Control'), headers.get('X-Content-Type-Options'), headers.get('Referrer-Policy')]).toEqual(['no-store', 'nosniff', 'no-referrer'])
  })

  it('shows texts as texts', async () => {
    const { number } = await makeUser(server, 'bert')
    await managementClient(server).ask('PUT', `/users/${number}`, { body: { realname: `<b onclick='x'>&"` } })
    const client = await loggedIn('bert')
    expect((await client.ask('GET', '/')).text).toContain('Hello, &lt;b onclick=&#39;x&#39;&gt;&amp;&quot;</h1>')
  })

  it('refuses a wrong password as everywhere, and delays who guesses', async () => {
    await makeUser(server, 'carl')
    const client = webClient(server.url)
    const answers = []
    for (let attempt = 0; attempt < 30 && answers.at(-1) !== 429; attempt++) answers.push((await client.logIn('carl', `wrong ${attempt}`)).status)
    expect([answers[0], answers.at(-1)]).toEqual([401, 429])
    expect((await client.logIn('carl', SECRET)).headers.get('Retry-After')).toMatch(/^\d+$/)
    expect(client.cookies.size).toBe(0)
    expect(await entries('refused')).toContain('"credentials"')
    for (const form of [{}, { principal: 'carl' }]) expect((await client.ask('POST', '/c/login', { form })).status).toBe(400)
  })

  it('lets no robot in', async () => {
    const api = managementClient(server)
    const { body } = await api.ask('POST', '/robots', {
      body: { name: 'ci', level: 'system', duration: -1, permissions: [{ kind: 'project', namespace: 'library', access: [{ resource: 'repository', action: 'pull' }] }] },
    })
    const { name, secret } = body as { readonly name: string; readonly secret: string }
    const client = webClient(server.url)
    const { status, headers } = await client.logIn(name, secret)
    expect([status, client.cookies.size]).toEqual([403, 0])
    // That its secret is right is on record, and that it was refused.
    const request = headers.get('X-Request-Id') ?? 'none'
    expect(linesOf(await entries('login'), request)).toEqual([expect.stringContaining('"robot-secret"')])
    await until(async () => linesOf(await entries('refused'), request).some((line) => line.includes('"session:create"')), 'the refusal of the robot')
  })

  it('puts each login on record, whoever is remembered from another door', async () => {
    const { authorization } = await makeUser(server, 'kurt')
    expect((await fetch(`${server.url}/v2/`, { headers: { Authorization: authorization } })).status).toBe(200)
    const { headers } = await webClient(server.url).logIn('kurt', SECRET)
    expect(linesOf(await entries('login'), headers.get('X-Request-Id') ?? 'none')).toEqual([expect.stringContaining('"password"')])
  })
})

describe('a session', () => {
  it('has a new id at each login: one that was planted before is worth nothing', async () => {
    await makeUser(server, 'dora')
    const [client, other] = [await loggedIn('dora'), webClient(server.url)]
    const [name = '', first = ''] = [...client.cookies][0] ?? []
    other.cookies.set(name, 'A'.repeat(43))
    await other.logIn('dora', SECRET)
    expect(other.cookies.get(name)).not.toBe('A'.repeat(43))
    await client.logIn('dora', SECRET)
    expect(client.cookies.get(name)).not.toBe(first)
    const planted = webClient(server.url)
    for (const value of [first, 'A'.repeat(43)]) {
      planted.cookies.set(name, value)
      expect((await planted.ask('GET', '/api/v2.0/users/current')).status).toBe(401)
    }
  })

  it('opens the API, which changes nothing without the token that it sends', async () => {
    const { number } = await makeUser(server, 'emil')
    const client = await loggedIn('emil')
    const seen = await client.ask('GET', '/api/v2.0/users/current')
    expect([seen.status, JSON.parse(seen.text)]).toEqual([200, expect.objectContaining({ username: 'emil' })])
    const token = seen.headers.get('X-Harbor-CSRF-Token') ?? ''
    const change = async (headers: Readonly<Record<string, string>>): Promise<number> =>
      (await fetch(`${server.url}/api/v2.0/users/${number}`, {
        method: 'PUT', body: '{"comment":"changed"}', headers: { Cookie: [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; '), ...headers },
      })).status
    for (const headers of [{}, { 'X-Harbor-CSRF-Token': '' }, { 'X-Harbor-CSRF-Token': `${token}x` }]) expect(await change(headers)).toBe(403)
    expect((await client.ask('GET', '/api/v2.0/users/current')).text).not.toContain('changed')
    expect(await change({ 'X-Harbor-CSRF-Token': token })).toBe(200)
    expect((await client.ask('GET', '/api/v2.0/users/current')).text).toContain('changed')
    expect(await entries('refused')).toContain('"csrf"')
  })

  it('opens neither /v2 nor /service/token, and counts for nothing beside an Authorization header', async () => {
    await makeUser(server, 'fred')
    const client = await loggedIn('fred')
    expect((await client.ask('GET', '/v2/')).status).toBe(401)
    const { text } = await client.ask('GET', '/service/token')
    const { token } = JSON.parse(text) as { readonly token: string }
    expect(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).toContain('"sub":"anonymous:')
    expect((await client.ask('GET', '/api/v2.0/users/current', { headers: { Authorization: 'Basic Zm9vOmJhcg==' } })).status).toBe(401)
    const admin = await client.ask('GET', '/api/v2.0/users/current', { headers: { Authorization: server.authorization } })
    expect([JSON.parse(admin.text), admin.headers.get('X-Harbor-CSRF-Token')]).toEqual([expect.objectContaining({ username: 'admin' }), null])
  })

  it.each([
    ['deleted', (id: number) => ['DELETE', `/users/${id}`, undefined] as const],
    ['given another password', (id: number) => ['PUT', `/users/${id}/password`, { new_password: 'Another-1-of-these' }] as const],
  ])('ends at once where its user was %s', async (what, change) => {
    const name = `gina-${what.length}`
    const { number } = await makeUser(server, name)
    const client = await loggedIn(name)
    expect((await client.ask('GET', '/api/v2.0/users/current')).status).toBe(200)
    const [method, path, body] = change(number)
    expect(await managementClient(server).asked(method, path, { body })).toBe('200')
    expect((await client.ask('GET', '/api/v2.0/users/current')).status).toBe(401)
    expect((await client.ask('GET', '/')).text).toContain('action="/c/login"')
    // What everybody may ask is answered still.
    expect((await client.ask('GET', '/api/v2.0/systeminfo')).status).toBe(200)
    await until(async () => (await entries('refused')).includes('"session"'), 'the refusal of the session')
  })

  it('lasts as long as the setting says, over a restart of the server', async () => {
    await makeUser(server, 'hans')
    await managementClient(server).ask('PUT', '/configurations', { body: { session_timeout: 7 } })
    const answer = await webClient(server.url).logIn('hans', SECRET)
    expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(/^sid=[\w-]{43}; Path=\/; Max-Age=420; HttpOnly; SameSite=Lax$/)])
    const client = await loggedIn('hans')
    await server.restart()
    expect((await client.ask('GET', '/api/v2.0/users/current')).status).toBe(200)
  })
})

describe('another site', () => {
  it('logs nobody in, and does nothing in their name', async () => {
    await makeUser(server, 'ines')
    const client = webClient(server.url)
    const form = { principal: 'ines', password: SECRET }
    for (const headers of [{ Origin: 'https://evil.test' }, { 'Sec-Fetch-Site': 'cross-site' }, { Origin: 'null' }]) {
      expect((await client.ask('POST', '/c/login', { form, headers })).status).toBe(403)
    }
    expect(client.cookies.size).toBe(0)
    await client.logIn('ines', SECRET)
    for (const csrf of [undefined, '', 'wrong']) {
      for (const path of ['/c/log_out', '/c/cli_secret']) expect((await client.ask('POST', path, { form: csrf === undefined ? {} : { csrf } })).status).toBe(403)
    }
    expect((await client.ask('GET', '/')).text).toContain('<code>ines</code>')
  })

  it('is led to by no Host that a request names', async () => {
    await makeUser(server, 'jana')
    const body = new URLSearchParams({ principal: 'jana', password: SECRET }).toString()
    const answer = await new Promise<{ readonly status: number | undefined; readonly head: string }>((resolve, reject) => {
      const headers = { Host: 'evil.test', 'X-Forwarded-Host': 'evil.test', 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': body.length }
      request(`${server.url}/c/login`, { method: 'POST', headers }, (response) => {
        response.resume().on('end', () => {
          resolve({ status: response.statusCode, head: response.rawHeaders.join('\n') })
        })
      }).on('error', reject).end(body)
    })
    expect(answer.status).toBe(303)
    expect(answer.head).toContain('Location\n/\n')
    expect(answer.head).not.toMatch(/evil|Domain=/)
  })
})

describe('a registry behind https', () => {
  it('sends its cookies over nothing else', async () => {
    const secure = await startVarve({ env: { VARVE_PUBLIC_URL: 'https://registry.test' } })
    const answer = await webClient(secure.url).logIn('admin', secure.password)
    expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(/^__Host-sid=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/)])
    const plain = await startVarve({ env: { VARVE_PUBLIC_URL: 'http://registry.test' } })
    const told = [secure, plain, server].map((each) => each.output().includes('by plain http'))
    // From the machine itself there is nobody on the way.
    expect(told).toEqual([false, true, false])
  })
})
