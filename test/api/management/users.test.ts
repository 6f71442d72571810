import { beforeAll, describe, expect, it } from '@jest/globals'
import { managementClient } from '../../support/management.ts'
import type { As, ManagementClient } from '../../support/management.ts'
import { addOidcUser } from '../../support/oidc-user.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { LIVE_URL } from '../../support/spaces.ts'
import { until } from '../../support/until.ts'
import { webClient } from '../../support/web.ts'

const PASSWORD = 'Of-lakes-and-1-river'
let server: VarveServer
let api: ManagementClient

async function newUser(name: string, more: object = {}): Promise<{ readonly id: number; readonly as: As }> {
  const id = await api.created('/users', { username: name, email: `${name}@example.org`, realname: name.toUpperCase(), password: PASSWORD, ...more })
  return { id, as: { name, secret: PASSWORD } }
}

beforeAll(async () => {
  server = await startVarve()
  api = managementClient(server)
})

describe('a user', () => {
  it('is created, seen, changed and deleted, and their name is free again', async () => {
    const { id, as } = await newUser('carla', { comment: 'from accounts' })
    const seen = { user_id: id, username: 'carla', email: 'carla@example.org', realname: 'CARLA', comment: 'from accounts', sysadmin_flag: false, admin_role_in_auth: false }
    const { body } = await api.ask('GET', `/users/${id}`)
    expect(body).toEqual({ ...seen, creation_time: expect.any(String), update_time: expect.any(String) })
    expect((await api.ask('GET', '/users/current', { as })).body).toEqual(body)

    expect(await api.asked('PUT', `/users/${id}`, { as, body: { email: 'c@example.org', comment: '' } })).toBe('200')
    expect((await api.ask('GET', `/users/${id}`)).body).toMatchObject({ email: 'c@example.org', realname: 'CARLA' })
    expect((await api.ask('GET', `/users/${id}`)).body).not.toHaveProperty('comment')

    expect(await api.asked('DELETE', `/users/${id}`)).toBe('200')
    expect(await api.asked('GET', `/users/${id}`)).toBe('404 NOT_FOUND')
    expect(await api.asked('GET', '/users/current', { as })).toBe('401 UNAUTHORIZED')
    const again = await newUser('carla')
    expect(again.id).toBeGreaterThan(id)
  })

  it('is refused where a name or address is taken, in whatever case it is written', async () => {
    await newUser('dora')
    expect(await api.asked('POST', '/users', { body: { username: 'DORA', email: 'other@example.org', password: PASSWORD } })).toBe('409 CONFLICT')
    expect(await api.asked('POST', '/users', { body: { username: 'dora2', email: 'Dora@example.org', password: PASSWORD } })).toBe('409 CONFLICT')
    const { id } = await newUser('dora3')
    expect(await api.asked('PUT', `/users/${id}`, { body: { email: 'dora@example.org' } })).toBe('409 CONFLICT')
  })

  it.each([
    ...['', ' a', 'a ', 'a,b', 'a"b', 'a~b', 'a#b', 'a%b', 'robot$a', 'a:b', 'a\u0000b', 'a\nb', 'a\ud800', 'a'.repeat(256)].map((username) => ({ username })),
    ...['Short1', 'nouppercase1', 'NOLOWERCASE1', 'NoDigitsHere', `Aa1${'a'.repeat(126)}`].map((password) => ({ password })),
    ...['nobody', 'a@b@c', 'a b@example.org'].map((email) => ({ email })),
    { realname: 'a,b' }, { comment: 'a\u0000' }, { username: 1 }, { password: undefined },
  ])('is refused with %j', async (wrong) => {
    expect(await api.asked('POST', '/users', { body: { username: 'edna', email: 'edna@example.org', password: PASSWORD, ...wrong } })).toBe('400 BAD_REQUEST')
  })

  it('may see and change themselves, and nobody else', async () => {
    const [{ id, as }, other] = [await newUser('fred'), await newUser('gerd')]
    expect(await api.asked('GET', `/users/${id}`, { as })).toBe('200')
    const refused = await api.ask('GET', `/users/${other.id}`, { as })
    expect([refused.status, refused.body]).toEqual([403, (await api.ask('GET', '/users/99999', { as })).body])
    for (const [method, path, body] of [
      ['GET', '/users', undefined], ['POST', '/users', {}], ['PUT', `/users/${other.id}`, {}], ['DELETE', `/users/${other.id}`, undefined], ['DELETE', `/users/${id}`, undefined],
      ['PUT', `/users/${id}/sysadmin`, { sysadmin_flag: true }], ['PUT', `/users/${other.id}/password`, { new_password: PASSWORD }], ['PUT', `/users/${other.id}/cli_secret`, {}],
    ] as const) {
      expect([method, path, await api.asked(method, path, { as, body })]).toEqual([method, path, '403 FORBIDDEN'])
      expect([method, path, await api.asked(method, path, { as: 'nobody', body })]).toEqual([method, path, '401 UNAUTHORIZED'])
    }
  })
})

describe('somebody without a login', () => {
  const registering = (username: string, more: object = {}) =>
    api.asked('POST', '/users', { as: 'nobody', body: { username, email: `${username}@example.org`, password: PASSWORD, ...more } })
  const allow = (self_registration: boolean) => api.asked('PUT', '/configurations', { body: { self_registration } })
  const info = async () => (await api.ask('GET', '/systeminfo', { as: 'nobody' })).body

  it('registers where that is on, as nobody\'s administrator, and the trail says that it was nobody who did it', async () => {
    const { as: other } = await newUser('registrar')
    expect(await registering('wanda')).toBe('401 UNAUTHORIZED')
    expect(await info()).toMatchObject({ self_registration: false })
    expect(await allow(true)).toBe('200')
    try {
      expect(await info()).toMatchObject({ self_registration: true })
      expect(await registering('wanda', { sysadmin_flag: true })).toBe('201')
      const as = { name: 'wanda', secret: PASSWORD }
      const current = (await api.ask('GET', '/users/current', { as })).body as { user_id: number }
      expect(current).toMatchObject({ username: 'wanda', sysadmin_flag: false })
      expect(await api.asked('GET', '/users', { as })).toBe('403 FORBIDDEN')
      // Only for oneself: whoever has a login needs the right.
      expect(await api.asked('POST', '/users', { as: other, body: { username: 'walter', password: PASSWORD } })).toBe('403 FORBIDDEN')

      expect(await registering('wanda')).toBe('409 CONFLICT')
      expect(await registering('robot$wanda')).toBe('400 BAD_REQUEST')
      expect(await registering('weak', { password: 'weak' })).toBe('400 BAD_REQUEST')
      await until(async () => {
        const trail = await fetch(`${server.url}/api/varve/v1/audit?action=user.created`, { headers: { Authorization: server.authorization } })
        const { entries } = (await trail.json()) as { readonly entries: readonly { readonly who: { readonly kind: string } }[] }
        return entries.filter(({ who }) => who.kind === 'anonymous').length === 1
      }, 'the registration in the trail')
    } finally {
      await allow(false)
    }
    expect(await registering('wolf')).toBe('401 UNAUTHORIZED')
  })

  it('waits after some registrations, as after wrong passwords, and others go on', async () => {
    expect(await allow(true)).toBe('200')
    try {
      // The wait doubles: sooner or later a try comes too early, however slow the machine is.
      const answers: string[] = []
      while (answers.length < 20 && answers.at(-1) !== '429 TOO_MANY_REQUEST') answers.push(await registering(`crowd-${answers.length}`))
      expect(answers.at(-1)).toBe('429 TOO_MANY_REQUEST')
      const { as } = await newUser('unhurried')
      expect(await api.asked('GET', '/users/current', { as })).toBe('200')
    } finally {
      await allow(false)
    }
  })
})

describe('a list of users', () => {
  it('is filtered, ordered and cut into pages', async () => {
    for (const name of ['list-a', 'list-b', 'list-c']) await newUser(name)
    const names = ({ body }: { readonly body: unknown }): string[] => (body as { username: string }[]).map(({ username }) => username)
    const page = await api.ask('GET', '/users?q=username%3D~LIST-&sort=-username&page_size=2')
    expect(names(page)).toEqual(['list-c', 'list-b'])
    expect(page.headers.get('X-Total-Count')).toBe('3')
    expect(page.headers.get('Link')).toBe('</api/v2.0/users?q=username%3D%7ELIST-&sort=-username&page_size=2&page=2>; rel="next"')
    expect(names(await api.ask('GET', '/users?username=list-&page=2&page_size=2'))).toEqual(['list-c'])
    expect(names(await api.ask('GET', '/users?email=list-b@'))).toEqual(['list-b'])
    expect(names(await api.ask('GET', '/users?q=sysadmin_flag=true'))).toEqual(['admin'])
    for (const wrong of ['page=0', 'page_size=0', 'page_size=101', 'page_size=-1', 'q=username', 'page=x']) expect(await api.asked('GET', `/users?${wrong}`)).toBe('400 BAD_REQUEST')
  })

  it('is searched by everybody who is logged in, for names', async () => {
    const { as } = await newUser('searcher')
    const { body, headers } = await api.ask('GET', '/users/search?username=SEARCH', { as })
    expect(body).toEqual([{ user_id: expect.any(Number), username: 'searcher' }])
    expect(headers.get('X-Total-Count')).toBe('1')
    expect(await api.asked('GET', '/users/search', { as })).toBe('400 BAD_REQUEST')
    expect(await api.asked('GET', '/users/search?username=a', { as: 'nobody' })).toBe('401 UNAUTHORIZED')
  })
})

describe('a password', () => {
  it('is changed by whoever knows the old one, and ends what came of it', async () => {
    const { id, as } = await newUser('hans')
    const change = (body: object, by?: As) => api.asked('PUT', `/users/${id}/password`, { body, ...(by === undefined ? {} : { as: by }) })
    expect(await change({ old_password: 'wrong', new_password: 'Another-1-of-these' }, as)).toBe('403 FORBIDDEN')
    expect(await change({ new_password: 'Another-1-of-these' }, as)).toBe('403 FORBIDDEN')
    expect(await change({ old_password: PASSWORD, new_password: 'short' }, as)).toBe('400 BAD_REQUEST')
    expect(await change({ old_password: PASSWORD, new_password: PASSWORD }, as)).toBe('400 BAD_REQUEST')
    expect(await change({ old_password: PASSWORD, new_password: 'Another-1-of-these' }, as)).toBe('200')
    expect(await api.asked('GET', '/users/current', { as })).toBe('401 UNAUTHORIZED')
    expect(await change({ new_password: 'By-administrator-1' })).toBe('200')
    expect(await api.asked('GET', '/users/current', { as: { name: 'hans', secret: 'By-administrator-1' } })).toBe('200')
  })

  it('is not guessed at by whoever has taken over a session: each wrong old one counts as a login that failed', async () => {
    const { id, as } = await newUser('ina')
    const answers: string[] = []
    for (let guess = 0; guess < 12; guess += 1) answers.push(await api.asked('PUT', `/users/${id}/password`, { as, body: { old_password: `guess-${guess}`, new_password: 'Another-1-of-these' } }))
    expect(answers.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => '403 FORBIDDEN'))
    expect(answers).toContain('429 TOO_MANY_REQUEST')
    const { stdout } = await server.varve('audit', '--action', 'refused', '--actor', 'ina', '--json')
    const refusals = stdout.trim().split('\n').map((line) => (JSON.parse(line) as { readonly parameters: object }).parameters)
    expect(refusals).toContainEqual(expect.objectContaining({ action: 'password:change', reason: 'credentials' }))
    expect(refusals).toContainEqual(expect.objectContaining({ action: 'password:change', reason: 'throttled' }))
    expect(stdout).not.toContain('guess-')
  })

  it('that was asked for as the old one is a login, on record', async () => {
    const { id } = await newUser('kai')
    const browser = webClient(server.url)
    expect((await browser.logIn('kai', PASSWORD)).status).toBe(303)
    const csrf = await browser.csrf()
    // The session stays; that the password was verified a moment ago is forgotten.
    await server.restart()
    const response = await fetch(`${server.url}/api/v2.0/users/${id}/password`, {
      method: 'PUT', body: JSON.stringify({ old_password: PASSWORD, new_password: PASSWORD }),
      headers: { 'Content-Type': 'application/json', Cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '), 'X-Harbor-CSRF-Token': csrf },
    })
    expect(response.status).toBe(400)
    const { stdout } = await server.varve('audit', '--action', 'login', '--actor', 'kai', '--json')
    const request = response.headers.get('X-Request-Id') ?? 'none'
    expect(stdout.split('\n').filter((line) => line.includes(request))).toEqual([expect.stringContaining('"password"')])
  })

  it('and what else is secret stands in no answer', async () => {
    const { body } = await api.ask('GET', '/users?page_size=100')
    expect(JSON.stringify(body)).not.toMatch(/argon2|verifier|password|secret/i)
  })
})

describe('the secret for the command line', () => {
  // A live EventStoreDB holds the log elsewhere, where no user of a provider can be put.
  const itHere = LIVE_URL === undefined ? it : it.skip

  itHere('is given or made, for users of a provider, and logs them in', async () => {
    const id = await addOidcUser(server, 'olive')
    const change = (body: object, by?: As) => api.ask('PUT', `/users/${id}/cli_secret`, { body, ...(by === undefined ? {} : { as: by }) })
    expect((await change({ secret: 'weak' })).status).toBe(400)
    const given = await change({ secret: 'Given-for-tests-1' })
    expect([given.status, given.body]).toEqual([200, undefined])
    const olive = { name: 'olive', secret: 'Given-for-tests-1' }
    const { body } = await api.ask('GET', '/users/current', { as: olive })
    expect(body).toMatchObject({ user_id: id, oidc_user_meta: { user_id: id } })
    expect(JSON.stringify(body)).not.toContain('secret')
    const made = (await change({}, olive)).body as { secret: string }
    expect(made.secret).toMatch(/^[A-Za-z0-9]{32}$/)
    expect(await api.asked('GET', '/users/current', { as: olive })).toBe('401 UNAUTHORIZED')
    expect(await api.asked('GET', '/users/current', { as: { name: 'olive', ...made } })).toBe('200')
    for (const [path, said] of [['/password', { new_password: PASSWORD }], ['', { realname: 'Else' }]] as const) {
      expect(await api.asked('PUT', `/users/${id}${path}`, { body: said })).toBe('403 FORBIDDEN')
    }
  })

  it('is for nobody else', async () => {
    const { id, as } = await newUser('peter')
    expect(await api.asked('PUT', `/users/${id}/cli_secret`, { as, body: {} })).toBe('412 PRECONDITION')
  })
})

describe('an administrator', () => {
  it('is made and unmade, but for the last one', async () => {
    const { id, as } = await newUser('ines')
    const flag = (user: number, sysadmin_flag: boolean, by?: As) => api.asked('PUT', `/users/${user}/sysadmin`, { body: { sysadmin_flag }, ...(by === undefined ? {} : { as: by }) })
    expect(await flag(1, false)).toBe('412 PRECONDITION')
    expect(await flag(id, true)).toBe('200')
    expect((await api.ask('GET', '/users/current', { as })).body).toMatchObject({ sysadmin_flag: true })
    const both = await Promise.all([flag(1, false, as), flag(id, false)])
    expect(both.toSorted()).toEqual(['200', '412 PRECONDITION'])
    const [left, gone] = both[0] === '200' ? [as, 1] : [undefined, id]
    expect(await flag(gone, true, left)).toBe('200')
    expect(await flag(id, false)).toBe('200')
    expect(await flag(99_999, true)).toBe('404 NOT_FOUND')
    expect(await api.asked('DELETE', '/users/1')).toBe('403 FORBIDDEN')
  })
})

describe('permissions', () => {
  it('are those of who asks', async () => {
    const { as } = await newUser('jana')
    const permissions = async (query: string, by?: As) => (await api.ask('GET', `/users/current/permissions?${query}`, by === undefined ? {} : { as: by })).body
    expect(await permissions('scope=/project/1', as)).toEqual([])
    expect(await permissions('scope=/system', as)).toEqual([])
    expect(await permissions('', as)).toEqual([])
    expect(await permissions('scope=/project/99999')).toEqual([])
    expect(await permissions('scope=/project/1')).toContainEqual({ resource: '/project/1/repository', action: 'push' })
    expect(await permissions('scope=/project/1')).toContainEqual({ resource: '/project/1', action: 'delete' })
    expect(await permissions('scope=/project/1&relative=true')).toContainEqual({ resource: 'repository', action: 'push' })
    expect(await permissions('scope=/project/1&relative=true')).toContainEqual({ resource: '.', action: 'delete' })
    expect(await permissions('scope=/system&relative=true')).toContainEqual({ resource: 'user', action: 'create' })
  })

  it('that robots can be given are told to administrators', async () => {
    const { as } = await newUser('kurt')
    const { body } = await api.ask('GET', '/permissions')
    expect(body).toMatchObject({ system: expect.arrayContaining([{ resource: 'user', action: 'create' }]), project: expect.arrayContaining([{ resource: 'repository', action: 'push' }]) })
    expect(await api.asked('GET', '/permissions', { as })).toBe('403 FORBIDDEN')
    const push = await fetch(`${server.url}/v2/kurts/app/blobs/uploads/`, { method: 'POST', headers: { Authorization: `Basic ${Buffer.from(`kurt:${PASSWORD}`).toString('base64')}` } })
    expect(push.status).toBe(202)
    expect((await api.ask('GET', '/permissions', { as })).body).toEqual({ project: expect.arrayContaining([{ resource: 'repository', action: 'push' }]) })
  })
})
