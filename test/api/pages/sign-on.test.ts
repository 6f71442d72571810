import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { BrowserContext } from 'playwright-core'
import { chromiumHere, inBrowser } from '../../support/browser.ts'
import { one } from '../../support/certificates.ts'
import { managementClient } from '../../support/management.ts'
import type { ManagementClient } from '../../support/management.ts'
import { CLIENT, signIn, startProvider } from '../../support/oidc-provider.ts'
import type { RunningProvider } from '../../support/oidc-provider.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { webClient } from '../../support/web.ts'
import type { WebClient } from '../../support/web.ts'

/** What the provider says of people; a test may say something else of one of them from then on. */
const accounts: Record<string, Record<string, unknown>> = {
  alice: { name: 'Alice Example', preferred_username: 'alice', email: 'alice@example.com', groups: ['developers'] },
  berta: { name: 'Berta', preferred_username: 'Admin', groups: [] },
  carol: { name: 'Carol', groups: ['developers'] },
  dora: { name: 'Dora', preferred_username: 'dora', groups: ['operators'] },
  erik: { name: 'Erik', preferred_username: 'erik', groups: Array.from({ length: 500 }, (_, index) => `group ${index}`) },
  frida: { name: 'Frida', preferred_username: 'robot$frida' },
  gustav: { name: 'Gustav', preferred_username: 'gustav', email: 'x\u0000y', groups: ['a\u0000b', 'x'.repeat(256), 'good'] },
  hilda: { name: 'Hilda', preferred_username: 'hilda' },
}

let folder: string
let server: VarveServer
let provider: RunningProvider
let api: ManagementClient
const callback = (): string => `${server.url}/c/oidc/callback`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-sign-on-'))
  await writeFile(join(folder, 'ca.pem'), one.cert)
  server = await startVarve({ env: { VARVE_OUTBOUND_NETWORKS: '127.0.0.0/8', VARVE_OUTBOUND_CA: join(folder, 'ca.pem') } })
  provider = await startProvider([callback()], accounts)
  api = managementClient(server)
  const settings = {
    auth_mode: 'oidc_auth', oidc_name: 'the Test Provider', oidc_endpoint: provider.url, oidc_client_id: CLIENT.id, oidc_client_secret: CLIENT.secret,
    oidc_scope: 'openid,profile,email,groups', oidc_groups_claim: 'groups', oidc_admin_group: 'operators', oidc_user_claim: 'preferred_username', oidc_auto_onboard: true,
  }
  expect(await api.asked('PUT', '/configurations', { body: settings })).toBe('200')
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** Through the provider, up to the callback's answer. */
async function signOn(login: string, client = webClient(server.url), path = '/c/oidc/login') {
  const begun = await client.ask('GET', path)
  const query = await signIn(begun.location ?? '', login, callback())
  const answer = await client.ask('GET', `/c/oidc/callback${query}`)
  return { client, query, answer }
}

async function current(client: WebClient): Promise<Record<string, unknown> | number> {
  const { status, text } = await client.ask('GET', '/api/v2.0/users/current')
  return status === 200 ? (JSON.parse(text) as Record<string, unknown>) : status
}

const refusals = async (): Promise<string> => (await server.varve('audit', '--action', 'refused', '--json')).stdout

describe('somebody whom the provider lets in', () => {
  it('is a user from then on, the same one at each login', async () => {
    const { client, answer } = await signOn('alice')
    expect(answer).toMatchObject({ status: 303, location: '/' })
    const first = await current(client)
    expect(first).toMatchObject({ username: 'alice', realname: 'Alice Example', email: 'alice@example.com', oidc_user_meta: { subiss: `${provider.url} alice` }, sysadmin_flag: false })
    accounts['alice'] = { ...accounts['alice'], name: 'Alice Other', preferred_username: 'root' }
    expect(await current((await signOn('alice')).client)).toEqual({ ...(first as object), realname: 'Alice Other', update_time: expect.any(String) })
    expect((await server.varve('audit', '--action', 'login', '--json')).stdout).toContain('"sign-on"')
  })

  it('chooses a name where the claim’s is taken, or can be nobody’s', async () => {
    for (const [login, suggested] of [['berta', 'Admin'], ['frida', 'robot$frida'], ['carol', '']] as const) {
      const { client, answer } = await signOn(login)
      expect([login, answer.status, answer.location]).toEqual([login, 303, '/c/oidc/onboard'])
      expect(await current(client)).toBe(401)
      expect((await client.ask('GET', '/c/oidc/onboard')).text).toContain(`name="username" value="${suggested}"`)
      for (const [username, status] of [['admin', 409], ['robot$x', 400], ['a:b', 400], ['', 400], ['a\u0000', 400]] as const) {
        expect([username, (await client.ask('POST', '/c/oidc/onboard', { form: { username } })).status]).toEqual([username, status])
      }
      const elsewhere = await client.ask('POST', '/c/oidc/onboard', { form: { username: `${login}-1` }, headers: { Origin: 'https://evil.test' } })
      expect(elsewhere.status).toBe(403)
      const kept = client.cookies.get('onboarding') ?? ''
      const chosen = await client.ask('POST', '/c/oidc/onboard', { form: { username: `${login}-1` } })
      expect([chosen.status, chosen.text]).toEqual([200, expect.stringContaining('content="0; url=/c/oidc/login?redirect_url=%2F"')])
      expect((await client.ask('GET', '/c/oidc/onboard')).status).toBe(400)
      // Sent again, it makes nobody else.
      client.cookies.set('onboarding', kept)
      expect((await client.ask('POST', '/c/oidc/onboard', { form: { username: `${login}-2` } })).text).toContain(`You are ${login}-1`)
      expect((await api.ask('GET', `/users?username=${login}-2`)).body).toEqual([])
      expect(await current((await signOn(login, client)).client)).toMatchObject({ username: `${login}-1` })
    }
  })

  it('chooses a name where an administrator wants it so; nobody can make up whom the provider vouched for', async () => {
    expect(await api.asked('PUT', '/configurations', { body: { oidc_auto_onboard: false } })).toBe('200')
    const { client, answer } = await signOn('hilda')
    expect(answer.location).toBe('/c/oidc/onboard')
    const [name = '', sealed = ''] = [...client.cookies].find(([each]) => each === 'onboarding') ?? []
    for (const wrong of ['', 'x', `${sealed.slice(0, -1)}${sealed.endsWith('A') ? 'B' : 'A'}`, `B${sealed.slice(1)}`]) {
      client.cookies.set(name, wrong)
      expect((await client.ask('POST', '/c/oidc/onboard', { form: { username: 'mallory' } })).status).toBe(400)
      client.cookies.set(name, sealed)
    }
    expect(JSON.stringify([...client.cookies])).not.toContain('hilda')
    expect(await api.asked('PUT', '/configurations', { body: { oidc_auto_onboard: true } })).toBe('200')
  })

  it('is an administrator while the group says so, unless one made them so by hand', async () => {
    const { client } = await signOn('dora')
    const before = await current(client)
    expect(before).toMatchObject({ sysadmin_flag: true, admin_role_in_auth: true })
    const id = typeof before === 'number' ? 0 : Number(before['user_id'])
    // Who asks for somebody else is not told, as with Harbor.
    expect((await api.ask('GET', `/users/${id}`)).body).toMatchObject({ sysadmin_flag: true, admin_role_in_auth: false })
    accounts['dora'] = { ...accounts['dora'], groups: [] }
    await signOn('dora', client)
    expect(await current(client)).toMatchObject({ sysadmin_flag: false, admin_role_in_auth: false })
    expect(await api.asked('PUT', `/users/${id}/sysadmin`, { body: { sysadmin_flag: true } })).toBe('200')
    await signOn('dora', client)
    expect(await current(client)).toMatchObject({ sysadmin_flag: true, admin_role_in_auth: false })
  })

  it('may be in 500 groups, and be said things of that cannot be kept', async () => {
    expect(await current((await signOn('erik')).client)).toMatchObject({ username: 'erik' })
    expect((await api.ask('GET', '/usergroups?group_name=group%20499')).body).toMatchObject([{ group_name: 'group 499', group_type: 3 }])
    const seen = await current((await signOn('gustav')).client)
    expect([seen, Object.keys(seen as object).includes('email')]).toEqual([expect.objectContaining({ username: 'gustav' }), false])
    expect((await api.ask('GET', '/usergroups?group_name=good')).body).toMatchObject([{ group_name: 'good' }])
  })
})

describe('a login at the provider', () => {
  it('leads to a path of the registry, and to nothing else', async () => {
    expect((await signOn('alice', webClient(server.url), '/c/oidc/login?redirect_url=%2Fapi%2Fv2.0%2Fping%3Fa%3D1')).answer.location).toBe('/api/v2.0/ping?a=1')
    for (const url of ['https://evil.test/', '//evil.test', '/\\evil.test', '/%2F%2Fevil.test', 'javascript:alert(1)', '', '/a\r\nb']) {
      const answer = await webClient(server.url).ask('GET', `/c/oidc/login?redirect_url=${encodeURIComponent(url)}`)
      expect([url, answer.status, answer.location]).toEqual([url, 400, null])
    }
    expect((await webClient(server.url).ask('GET', '/c/oidc/login?redirect_url=/&redirect_url=/')).status).toBe(400)
    expect(await refusals()).toContain('"redirect"')
  })

  it('is finished by the browser that began it, once', async () => {
    const { client, query } = await signOn('alice')
    expect((await client.ask('GET', `/c/oidc/callback${query}`)).status).toBe(400)
    const begun = webClient(server.url)
    await begun.ask('GET', '/c/oidc/login')
    const stolen = await begun.ask('GET', `/c/oidc/callback${query}`)
    expect([stolen.status, begun.cookies.size]).toEqual([401, 0])
    expect(await refusals()).toContain('"sign-on"')
  })

  it('is sent back to the public address, whatever host a request names', async () => {
    const { location } = await webClient(server.url).ask('GET', '/c/oidc/login', { headers: { 'X-Forwarded-Host': 'evil.test', Forwarded: 'host=evil.test' } })
    expect(new URL(location ?? '').searchParams.get('redirect_uri')).toBe(callback())
  })

  it('says so where the provider is away, and works again when it is back', async () => {
    const client = webClient(server.url)
    const begun = await client.ask('GET', '/c/oidc/login')
    const query = await signIn(begun.location ?? '', 'alice', callback())
    await provider.stop()
    const answer = await client.ask('GET', `/c/oidc/callback${query}`)
    expect([answer.status, answer.text]).toEqual([503, expect.stringContaining('cannot be reached')])
    await provider.start()
    expect(await current((await signOn('alice')).client)).toMatchObject({ username: 'alice' })
  })

  it('ends with its user', async () => {
    const { client } = await signOn('berta')
    const seen = await current(client)
    expect(await api.asked('DELETE', `/users/${typeof seen === 'number' ? 0 : String(seen['user_id'])}`)).toBe('200')
    expect(await current(client)).toBe(401)
    // The provider still knows them: somebody new.
    expect((await signOn('berta', client)).answer.location).toBe('/c/oidc/onboard')
  })
})

describe('an administrator', () => {
  const ping = (url: string, more: object = {}) => api.ask('POST', '/system/oidc/ping', { body: { url, ...more } })

  it('asks whether a provider answers', async () => {
    expect((await ping(provider.url)).status).toBe(200)
    expect(await ping(`${provider.url}/nothing`, { verify_cert: false })).toMatchObject({ status: 400 })
    for (const url of ['', 'x', provider.url.replace('https', 'http'), 'https://[']) expect([url, (await ping(url)).status]).toEqual([url, 400])
    expect(await ping('https://10.0.0.1')).toMatchObject({ status: 400, body: { errors: [{ message: expect.stringContaining('not public') }] } })
    expect(await api.asked('POST', '/system/oidc/ping', { as: 'nobody', body: { url: provider.url } })).toBe('401 UNAUTHORIZED')
  })

  it.each([
    { oidc_endpoint: 'http://id.example.com' }, { oidc_endpoint: 'https://id.example.com/?a' }, { oidc_client_id: '' }, { oidc_group_filter: '(' },
    { oidc_extra_redirect_parms: '{"redirect_uri":"https://evil.test"}' },
  ])('cannot save %j', async (body) => {
    expect(await api.asked('PUT', '/configurations', { body })).toBe('400 BAD_REQUEST')
  })
})

/** The names of the registry's own cookies: the provider's are of the same host. */
async function ours(window: BrowserContext): Promise<string[]> {
  return (await window.cookies(server.url)).map(({ name }) => name).filter((name) => ['sid', 'oidc', 'onboarding'].includes(name))
}

const describeWithBrowser = chromiumHere === undefined ? describe.skip : describe
describeWithBrowser('in Chromium', () => {
  it('somebody signs on, makes a secret, pulls by what their group gives, loses it with the group, and logs out', async () => {
    const id = await api.created('/projects', { project_name: 'tools', metadata: { public: 'false' } })
    await signOn('alice')
    const [group] = (await api.ask('GET', '/usergroups?group_name=developers')).body as { readonly id: number }[]
    await api.created(`/projects/${id}/members`, { role_id: 2, member_group: { id: group?.id } })
    await inBrowser(async (window) => {
      const page = await window.newPage()
      const problems: string[] = []
      page.on('console', (message) => problems.push(message.text()))
      await page.goto(server.url)
      await page.getByRole('link', { name: 'Log in with the Test Provider' }).click()
      await page.fill('[name=login]', 'alice')
      await page.fill('[name=password]', 'any')
      await page.click('[type=submit]')
      await page.waitForURL(`${server.url}/`)
      expect(await page.textContent('h1')).toMatch(/^Hello, Alice/)
      expect(await ours(window)).toEqual(['sid'])
      await page.getByRole('button', { name: 'Make a secret' }).click()
      const secret = (await page.textContent('#secret')) ?? ''
      const tags = async (given: string): Promise<number> =>
        (await fetch(`${server.url}/v2/tools/app/blobs/uploads/`, { method: 'POST', headers: { Authorization: `Basic ${Buffer.from(`alice:${given}`).toString('base64')}` } })).status
      expect([await tags(secret), await tags('wrong')]).toEqual([202, 401])
      await page.getByRole('link', { name: 'Done' }).click()
      expect(await page.content()).not.toContain(secret)

      accounts['alice'] = { ...accounts['alice'], groups: [] }
      expect(await tags(secret)).toBe(202)
      await page.goto(`${server.url}/c/oidc/login`)
      await page.waitForURL(`${server.url}/`)
      expect(await tags(secret)).toBe(403)

      await page.getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL(`${server.url}/`)
      expect(await page.textContent('h1')).toBe('Log in')
      expect(await ours(window)).toEqual([])
      // What the pages themselves bring goes through their own policy.
      expect(problems.filter((text) => text.includes('Content Security Policy'))).toEqual([])
    })
  })

  it('somebody new chooses a name, and is logged out at the provider too', async () => {
    accounts['ida'] = { name: 'Ida', preferred_username: 'admin', groups: ['developers'] }
    await api.asked('PUT', '/configurations', { body: { oidc_logout: true, primary_auth_mode: true } })
    await inBrowser(async (window) => {
      const page = await window.newPage()
      await page.goto(server.url)
      await page.getByRole('link', { name: 'Log in with the Test Provider' }).click()
      await page.fill('[name=login]', 'ida')
      await page.fill('[name=password]', 'any')
      await page.click('[type=submit]')
      await page.waitForURL(`${server.url}/c/oidc/onboard`)
      await page.fill('[name=username]', 'ida')
      await page.getByRole('button', { name: 'Go on' }).click()
      await page.waitForURL(`${server.url}/`)
      expect(await page.textContent('h1')).toBe('Hello, Ida')
      await page.getByRole('button', { name: 'Log out' }).click()
      // Its own page, which asks, and sends back.
      await page.waitForURL(`${provider.url}/**`)
      await page.getByRole('button', { name: 'Yes' }).click()
      await page.waitForURL(`${server.url}/**`)
      expect(await page.textContent('h1')).toBe('Log in')
      expect(await ours(window)).toEqual([])
    })
    await api.asked('PUT', '/configurations', { body: { oidc_logout: false, primary_auth_mode: false } })
  })
})
