import { createHmac, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { createKeyring } from '../../../src/identity/tokens/keyring.ts'
import { verifyEs256 } from '../../../src/identity/tokens/jws.ts'
import { makeSigningKey } from '../../../src/identity/tokens/signing-key.ts'
import { createTokens } from '../../../src/identity/tokens/tokens.ts'
import type { TokensOptions } from '../../../src/identity/tokens/tokens.ts'

const NOW_MS = Date.UTC(2026, 10, 1)
const made = makeSigningKey()
const keyring = createKeyring([{ privateKey: made.privateKey, notBeforeMs: NOW_MS - 1000 }])
const subject = { sub: 'user:0b8f9a52-6d0c-4c3e-9a51-0a2f7d1c9e11', cred: 'generation-3' }
const pull = [{ type: 'repository', name: 'team/app', actions: ['pull'] }]

function world(options: Partial<TokensOptions> = {}) {
  let nowMs = NOW_MS
  let checks = 0
  const tokens = createTokens({
    issuer: () => 'https://registry.test',
    audience: 'registry.test',
    keyring,
    now: () => nowMs,
    verifySignature: (...of) => {
      checks += 1
      return verifyEs256(...of)
    },
    ...options,
  })
  return { tokens, checks: () => checks, pass: (ms: number) => { nowMs += ms } }
}

const encode = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const decode = (part = ''): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>

/** A token as whoever has the key could make it, whatever its header and payload say. */
function forge(header: unknown, payload: unknown, privateKey = made.privateKey): string {
  const data = `${encode(header)}.${encode(payload)}`
  return `${data}.${sign('sha256', Buffer.from(data), { key: createPrivateKey(privateKey), dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const header = { alg: 'ES256', typ: 'at+jwt', kid: made.kid }
const right = world().tokens.issueAccess(subject, pull, 1800)
const [head = '', body = '', signature = ''] = right.token.split('.')
const claims = decode(body)

describe('an access token', () => {
  it('says whose it is, for what, from when and until when', () => {
    const iat = NOW_MS / 1000
    const expected = { iss: 'https://registry.test', aud: 'registry.test', ...subject, access: pull, iat, nbf: iat, exp: iat + 1800, jti: claims['jti'] }
    expect(claims).toEqual(expected)
    expect(claims['jti']).toMatch(/^[0-9a-f-]{36}$/)
    expect(decode(head)).toEqual(header)
    expect(world().tokens.verifyAccess(right.token)).toEqual({ claims: expected })
  })

  it('is verified by whoever reads the JWKS', () => {
    const [jwk] = keyring.jwks(NOW_MS).keys
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
    expect(jwk).toEqual({ kty: 'EC', crv: 'P-256', x: made.publicJwk.x, y: made.publicJwk.y, use: 'sig', alg: 'ES256', kid: made.kid })
    expect(verify('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))).toBe(true)
  })

  it('is forged by this test as the registry makes it', () => {
    expect(world().tokens.verifyAccess(forge(header, claims))).toEqual({ claims })
  })

  it('lives until its last second, and from ten seconds before its first', () => {
    const { tokens, pass } = world()
    pass(1_799_999)
    expect(tokens.verifyAccess(right.token)).toHaveProperty('claims')
    pass(1)
    expect(tokens.verifyAccess(right.token)).toEqual({ refused: 'expired' })
    pass(-1_810_000)
    expect(tokens.verifyAccess(right.token)).toHaveProperty('claims')
    pass(-1)
    expect(tokens.verifyAccess(right.token)).toEqual({ refused: 'not-yet' })
  })

  it.each(['robot:0b8f9a52-6d0c-4c3e-9a51-0a2f7d1c9e11', 'anonymous:2026-11'])('may be of %s', (sub) => {
    const { tokens } = world()
    expect(tokens.verifyAccess(tokens.issueAccess({ ...subject, sub }, [], 60).token)).toMatchObject({ claims: { sub } })
  })

  it.each([0, -1, NaN, Infinity, 90 * 86_400 + 1])('is not issued for %d seconds', (seconds) => {
    expect(() => world().tokens.issueAccess(subject, pull, seconds)).toThrow('cannot live')
  })
})

describe('a token is refused', () => {
  const publicPem = createPublicKey(made.privateKey).export({ type: 'spki', format: 'pem' })
  const hs256 = (secret: string): string => {
    const data = `${encode({ ...header, alg: 'HS256' })}.${body}`
    return `${data}.${createHmac('sha256', secret).update(data).digest('base64url')}`
  }
  const another = makeSigningKey()
  const flipped = Buffer.from(signature, 'base64url')
  flipped[10] = (flipped[10] ?? 0) ^ 1
  const variant = (last: string): string => right.token.slice(0, -1) + last
  const spellings = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_').filter(
    (last) => !right.token.endsWith(last) && Buffer.from(variant(last).split('.')[2] ?? '', 'base64url').equals(Buffer.from(signature, 'base64url')),
  )
  const without = (name: string): unknown => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name))

  it.each<[string, string, string]>([
    ['with alg none and no signature', `${encode({ ...header, alg: 'none' })}.${body}.`, 'algorithm'],
    ['with alg none and the old signature', `${encode({ ...header, alg: 'none' })}.${body}.${signature}`, 'algorithm'],
    ['with alg nOnE', forge({ ...header, alg: 'nOnE' }, claims), 'algorithm'],
    ['with HS256 and the public key in PEM as the secret', hs256(publicPem), 'algorithm'],
    ['with HS256 and the public key in JSON as the secret', hs256(JSON.stringify(made.publicJwk)), 'algorithm'],
    ['with HS256, signed with the right key', forge({ ...header, alg: 'HS256' }, claims), 'algorithm'],
    ['with ES384', forge({ ...header, alg: 'ES384' }, claims), 'algorithm'],
    ['with no algorithm', forge({ typ: 'at+jwt', kid: made.kid }, claims), 'algorithm'],
    ['with two algorithms', forge(`{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"${made.kid}"}`, claims), 'malformed'],
    ['with another key', forge(header, claims, another.privateKey), 'signature'],
    ['with a key that it brings along', forge({ ...header, jwk: another.publicJwk }, claims, another.privateKey), 'malformed'],
    ['with a key to be fetched', forge({ ...header, jku: 'https://evil.test/jwks' }, claims), 'malformed'],
    ['with an unknown kid', forge({ ...header, kid: another.kid }, claims, another.privateKey), 'key'],
    ['with a kid that is a path', forge({ ...header, kid: '../../../dev/null' }, claims), 'key'],
    ['with a kid that is a statement', forge({ ...header, kid: "' union select 'x" }, claims), 'key'],
    ['with a kid that every object has', forge({ ...header, kid: '__proto__' }, claims), 'key'],
    ['with a kid that is no text', forge({ ...header, kid: [made.kid] }, claims), 'key'],
    ['with no kid', forge({ alg: 'ES256', typ: 'at+jwt' }, claims), 'key'],
    ['with crit', forge({ ...header, crit: ['exp'] }, claims), 'malformed'],
    ['with b64 false', forge({ ...header, b64: false, crit: ['b64'] }, claims), 'malformed'],
    ['with its header in another order', forge({ kid: made.kid, typ: 'at+jwt', alg: 'ES256' }, claims), 'malformed'],
    ['of another issuer', forge(header, { ...claims, iss: 'https://evil.test' }), 'issuer'],
    ['for another audience', forge(header, { ...claims, aud: 'another.test' }), 'audience'],
    ['for several audiences', forge(header, { ...claims, aud: ['registry.test', 'another.test'] }), 'malformed'],
    ['whose scope was widened', `${head}.${encode({ ...claims, access: [{ ...pull[0], actions: ['pull', 'push'] }] })}.${signature}`, 'signature'],
    ['whose subject was changed', `${head}.${encode({ ...claims, sub: 'user:0b8f9a52-6d0c-4c3e-9a51-0a2f7d1c9e12' })}.${signature}`, 'signature'],
    ['whose signature was changed', `${head}.${body}.${flipped.toString('base64url')}`, 'signature'],
    ['whose signature is all zeros', `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`, 'signature'],
    ['whose signature has another spelling', variant(spellings[0] ?? ''), 'signature'],
    ['whose signature is in DER', `${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), made.privateKey).toString('base64url')}`, 'signature'],
    ['that was cut short', right.token.slice(0, -1), 'signature'],
    ['that has no signature', `${head}.${body}`, 'malformed'],
    ['that has a part too many', `${right.token}.x`, 'malformed'],
    ['that is huge', `${head}.${'A'.repeat(10_000_000)}.${signature}`, 'malformed'],
    ['that is empty', '', 'malformed'],
    ['that is dots', '..', 'malformed'],
    ['that is no JSON', forge('not json', claims), 'malformed'],
    ['whose header is null', forge('null', claims), 'malformed'],
    ['whose payload is no JSON', forge(header, 'not json'), 'malformed'],
    ['whose payload is a list', forge(header, []), 'malformed'],
    ['of a subject of no kind', forge(header, { ...claims, sub: 'admin' }), 'malformed'],
    ['with claims that the registry does not make', forge(header, { ...claims, admin: true }), 'malformed'],
    ['that lives for ever', forge(header, without('exp')), 'malformed'],
    ['that ends at a word', forge(header, { ...claims, exp: 'never' }), 'malformed'],
  ])('%s', (_, token, reason) => {
    const { tokens } = world()
    expect(tokens.verifyAccess(token)).toEqual({ refused: reason })
    expect(tokens.known(token)).toBeUndefined()
  })

  it('when it is a refresh token where an access token is due, and the other way', () => {
    const { tokens } = world()
    const refresh = tokens.issueRefresh(subject, 3600)
    expect(tokens.verifyAccess(refresh)).toEqual({ refused: 'type' })
    expect(tokens.verifyRefresh(right.token)).toEqual({ refused: 'type' })
    expect(tokens.verifyRefresh(refresh)).toMatchObject({ claims: subject })
    expect(tokens.known(refresh)).toBeUndefined()
    // Neither does an access token's content become one by its type alone.
    expect(tokens.verifyRefresh(forge({ ...header, typ: 'varve-refresh+jwt' }, claims))).toEqual({ refused: 'malformed' })
  })

  it('without a throw, whatever the text is', () => {
    const { tokens } = world()
    let state = 1
    const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below
    const pieces = [head, body, signature, '.', '..', '', 'e30', 'bnVsbA', '\u0000', '\ud800', '😀', 'a'.repeat(1000), encode({ alg: 'ES256' }), encode(header), '=', ' ', '-_']
    for (let round = 0; round < 5000; round += 1) {
      const mixed = Array.from({ length: random(7) }, () => pieces[random(pieces.length)] ?? '').join(random(2) === 0 ? '.' : '')
      const at = random(right.token.length)
      const mutated = right.token.slice(0, at) + String.fromCharCode(random(0x10000)) + right.token.slice(at + random(3))
      for (const text of [mixed, mutated]) {
        if (text === right.token) continue
        expect(tokens.verifyAccess(text)).toHaveProperty('refused')
        expect(tokens.verifyRefresh(text)).toHaveProperty('refused')
        expect(tokens.known(text)).toBeUndefined()
      }
    }
  })
})

describe('a token seen before', () => {
  it('is known without a signature check, until it expires', () => {
    const { tokens, checks, pass } = world()
    expect(tokens.known(right.token)).toBeUndefined()
    tokens.verifyAccess(right.token)
    for (let request = 0; request < 1000; request += 1) expect(tokens.known(right.token)).toEqual(claims)
    expect(checks()).toBe(1)
    pass(1_799_999)
    expect(tokens.known(right.token)).toEqual(claims)
    pass(1)
    expect(tokens.known(right.token)).toBeUndefined()
    expect(checks()).toBe(1)
  })

  it('is known no more when the keys are others', () => {
    const { tokens } = world()
    tokens.verifyAccess(right.token)
    tokens.use(createKeyring([{ privateKey: makeSigningKey().privateKey, notBeforeMs: NOW_MS }]))
    expect(tokens.known(right.token)).toBeUndefined()
    expect(tokens.verifyAccess(right.token)).toEqual({ refused: 'key' })
  })
})
