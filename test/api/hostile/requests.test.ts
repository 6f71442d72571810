import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { RefusalReason } from '../../../src/commands/activity/events.ts'
import { PASSWORD, basic, bearer, claimsOf, fetchToken } from '../../support/doors.ts'
import { registryClient } from '../../support/registry.ts'
import { codeIn, openRaw } from '../../support/wire.ts'
import { SECRET, startWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
let server: World['server']
let ask: World['ask']
let status: World['status']
/** What the trail must say of what was tried, once for each time. */
const tried: RefusalReason[] = []

beforeAll(async () => {
  world = await startWorld()
  ;({ server, ask, status } = world)
})

afterAll(() => world.stop())

describe('a forged Host or forwarded address', () => {
  const FORGED = {
    Host: 'evil.example', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Port': '1', 'X-Original-URL': 'https://evil.example/',
    Forwarded: 'for=203.0.113.7;host=evil.example;proto=https',
  }

  it('is not the address on record, which is what a proxy that is trusted put last', async () => {
    const refusedFrom = async (headers: Readonly<Record<string, string>>) => {
      const answer = await ask(basic('nobody'), 'GET', '/v2/', headers)
      tried.push('credentials')
      expect(answer.status).toBe(401)
      return world.refusedFor(String(answer.headers['x-request-id']))
    }
    const entry = { parameters: { reason: 'credentials' }, who: { kind: 'anonymous' } }
    expect(await refusedFrom(FORGED)).toMatchObject([{ ...entry, address: '127.0.0.1' }])
    await server.restart({ VARVE_TRUSTED_PROXIES: '127.0.0.0/8' })
    expect(await refusedFrom({ 'X-Forwarded-For': '203.0.113.7, 198.51.100.9' })).toMatchObject([{ ...entry, address: '198.51.100.9' }])
    await server.restart({ VARVE_TRUSTED_PROXIES: '' })
    expect((await world.refusals()).filter(({ address }) => address === '203.0.113.7')).toEqual([])
  })

  it.each([
    ['GET', '/v2/', undefined], ['GET', SECRET, undefined], ['POST', '/v2/secret/app/blobs/uploads/', basic('dev')], ['GET', '/v2/secret/app/tags/list?n=0', basic('dev')],
    ['GET', '/v2/_catalog?n=1', basic('dev')], ['GET', '/service/token', undefined], ['GET', '/service/jwks', undefined], ['GET', '/api/v2.0/projects?page_size=1', basic('dev')],
    ['GET', '/api/v2.0/systeminfo', undefined], ['GET', '/api/v2.0/openapi.json', undefined], ['GET', '/api/varve/v1/openapi.json', undefined],
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

it.each([
  ['PUT', '/v2/secret/app/manifests/v2', 'HTTP/1.1 403 Forbidden', 'role'], ['PUT', '/v2/open/app/manifests/v2', 'HTTP/1.1 403 Forbidden', 'role'],
  ['POST', '/api/v2.0/users', 'HTTP/1.1 403 Forbidden', 'role'], ['PUT', '/api/v2.0/projects/open', 'HTTP/1.1 403 Forbidden', 'role'],
  ['POST', '/api/v2.0/projects/secret/members', 'HTTP/1.1 404 Not Found', 'role'], ['POST', '/api/v2.0/projects/absent/members', 'HTTP/1.1 404 Not Found', undefined],
] as const)('%s %s is refused before its body comes', async (method, path, refused, reason) => {
  const raw = openRaw(server)
  raw.send(`${method} ${path} HTTP/1.1\r\nHost: ${server.host}\r\nAuthorization: ${basic('eve')}\r\nContent-Length: 1000000\r\n\r\n`)
  expect((await raw.until(/\r\n\r\n/)).split('\r\n', 1)).toEqual([refused])
  raw.socket.destroy()
  if (reason !== undefined) tried.push(reason)
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
      for (const rest of ['manifests/v1', `manifests/${world.digest}`, 'tags/list']) {
        const { status: answered, body, headers } = await ask(who, 'GET', `/v2/${raw(name)}/${rest}`)
        expect([answered, codeIn(body), headers['docker-content-digest']]).toEqual([400, 'NAME_INVALID', undefined])
        tried.push('name')
      }
    }
  })

  it.each(SPELLINGS)('%s gets no token for the secret, and no mount from there', async (name) => {
    const { body } = await fetchToken(server, basic('eve'), [`repository:${name}:pull`, `repository:${encodeURIComponent(name)}:pull`])
    expect(claimsOf(body.token).access.filter((each) => /^\/*secret\//i.test(each.name))).toEqual([])
    const { status: answered } = await ask(basic('eve'), 'POST', `/v2/eve/app/blobs/uploads/?mount=${world.digest}&from=${raw(name)}`)
    expect([202, 400]).toContain(answered)
  })

  it.each([
    // Names that no project can have, and the name itself.
    ...['open%2f..%2fsecret', '..%2fprojects%2fsecret', 'SECRET', 'Secret', 'secret;x', 'secret.', '%2573ecret', 'secret%20', '\uff53ecret'].map((name) => [name, 'name'] as const),
    ...['secret', '%73ecret'].map((name) => [name, 'role'] as const),
    // Where these lead there is nothing to be refused.
    ...['open/../secret', '%2e%2e/projects/secret', './secret', '/secret', 'secret/', 'secret%00'].map((name) => [name, undefined] as const),
  ])('%s opens nothing at /api/v2.0', async (name, reason) => {
    for (const path of ['', '/members', '/summary']) {
      const { status: answered, body } = await ask(basic('eve'), 'GET', `/api/v2.0/projects/${raw(name)}${path}`)
      expect([answered, body.toString()]).toEqual([expect.any(Number), expect.stringMatching(/^\{"errors":/)])
      expect(reason === undefined ? [400, 404] : [404]).toContain(answered)
      if (reason !== undefined) tried.push(reason)
    }
  })

  it.each(['/API/v2.0/users', '/Api/v2.0/systeminfo', '/api/V2.0/users', '/api/v2.0/Users', '/API/VARVE/V1/audit', '/api/varve/v1/Audit', '/Service/token', '/service/TOKEN', '/service/JWKS', '/C/login', '/METRICS', '/Metrics', '/metrics/', '/Healthz', '/readyZ'])(
    '%s is no door, whoever knocks', async (path) => {
      // A proxy before it may have a rule for the door's own name.
      expect(await status(server.authorization, 'GET', path)).toBe(404)
    },
  )

  it('opens no other door, however the door is written', async () => {
    for (const path of ['/api/v2.0//users', '/api/v2.0/./users', '/api/v2.0/users/', '/v2/../api/v2.0/users', '/service/../api/v2.0/users', '/api/v2.0/%75sers', '//api/v2.0/users', '/V2/_catalog', '/v2//_catalog', '/v2/%5fcatalog']) {
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
  tried.push('credentials', 'credentials', 'credentials', 'credentials', 'token-malformed')
  await registryClient(server).pushImage('library/app', 'after', Buffer.from('x'))
  expect(await world.tablesWith('typed-by-mistake')).toEqual([])
  // What everybody may know does stand in some.
  expect((await world.tablesWith('secret')).length).toBeGreaterThan(0)
  expect(server.output()).not.toContain('typed-by-mistake')
  expect(server.output()).not.toContain(PASSWORD)
})

it('a forged address does not spread guesses over many networks', async () => {
  const answers = new Set<number>()
  for (let index = 0; index < 30; index += 1) {
    answers.add((await ask(basic(`guessed-${index}`, 'Wrong-1-of-many'), 'GET', '/service/token', { 'X-Forwarded-For': `203.0.113.${index}`, Forwarded: `for=203.0.113.${index}` })).status)
  }
  expect([...answers]).toEqual([401, 429])
  tried.push('credentials', 'throttled')
})

it('and each that was refused is in the trail, at once or counted', async () => {
  expect(tried.length).toBeGreaterThan(100)
  expect(await world.missing(tried)).toEqual([])
})
