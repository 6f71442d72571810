import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import type { webcrypto } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { RefusalReason } from '../../../src/commands/activity/events.ts'
import { basic, bearer, claimsOf, fetchToken, makeRobot, PULL, PUSH } from '../../support/doors.ts'
import { SCOPE, SECRET, startWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
let server: World['server']
let inside: World['inside']
let ask: World['ask']
let status: World['status']
/** What the trail must say of what was tried, once for each time. */
const tried: RefusalReason[] = []

beforeAll(async () => {
  world = await startWorld()
  ;({ server, inside, ask, status } = world)
})

afterAll(() => world.stop())

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

it('and each that was refused is in the trail, at once or counted', async () => {
  expect(tried.length).toBeGreaterThan(30)
  expect(await world.missing(tried)).toEqual([])
})
