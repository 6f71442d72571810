import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { createKeyring } from '../../../src/identity/tokens/keyring.ts'
import { makeSigningKey } from '../../../src/identity/tokens/signing-key.ts'
import { createTokens } from '../../../src/identity/tokens/tokens.ts'

const DAY_MS = 86_400_000
const start = Date.UTC(2026, 10, 1)
const [old, newer] = [makeSigningKey(), makeSigningKey()]
const oldKept = { privateKey: old.privateKey, notBeforeMs: start }
/** The newer key signs from day 10 on; the old one is retired then. */
const rotated = createKeyring([{ ...oldKept, retiredAtMs: start + 10 * DAY_MS }, { privateKey: newer.privateKey, notBeforeMs: start + 10 * DAY_MS }])
const day = (days: number): number => start + days * DAY_MS

describe('a keyring', () => {
  it('signs with the newest key that is active', () => {
    expect(createKeyring([]).signing(start)).toBeUndefined()
    expect(createKeyring([oldKept]).signing(start - 1)).toBeUndefined()
    expect([0, 9.9, 10, 50].map((days) => rotated.signing(day(days))?.kid)).toEqual([old.kid, old.kid, newer.kid, newer.kid])
    expect(createKeyring([oldKept, { privateKey: newer.privateKey, notBeforeMs: day(1) }]).signing(day(2))?.kid).toBe(newer.kid)
  })

  it('honours and publishes a retired key until its last token has expired', () => {
    expect(rotated.verifying(old.kid, day(100) - 1)?.kid).toBe(old.kid)
    expect(rotated.verifying(old.kid, day(100))).toBeUndefined()
    expect([5, 100].map((days) => rotated.jwks(day(days)).keys.map(({ kid }) => kid).sort())).toEqual([[old.kid, newer.kid].sort(), [newer.kid]])
  })

  it('lets a token of the old key in after the rotation', () => {
    let nowMs = day(9)
    const tokens = createTokens({ issuer: () => 'i', audience: 'a', keyring: createKeyring([oldKept]), now: () => nowMs })
    const refresh = tokens.issueRefresh({ sub: 'anonymous:x', cred: '' }, 90 * 86_400)
    tokens.use(rotated)
    nowMs = day(98)
    expect(tokens.verifyRefresh(refresh)).toHaveProperty('claims')
    nowMs = day(99)
    expect(tokens.verifyRefresh(refresh)).toEqual({ refused: 'expired' })
  })

  it('says when a new key is due', () => {
    expect(createKeyring([]).rotationDue(start)).toBe(true)
    expect(createKeyring([oldKept]).rotationDue(day(90) - 1)).toBe(false)
    expect(createKeyring([oldKept]).rotationDue(day(90))).toBe(true)
    // One that is to come is enough.
    expect(createKeyring([oldKept, { privateKey: newer.privateKey, notBeforeMs: day(91) }]).rotationDue(day(90))).toBe(false)
    expect(createKeyring([{ ...oldKept, retiredAtMs: day(1) }]).rotationDue(day(1))).toBe(true)
  })

  it('publishes nothing private', () => {
    expect(Object.keys(rotated.jwks(start).keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
  })

  it.each([
    ['no key at all', 'not a key'],
    ['a key on another curve', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'pkcs8', format: 'pem' })],
    ['a key for RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })],
  ])('is not made of %s', (_, privateKey) => {
    expect(() => createKeyring([{ privateKey, notBeforeMs: start }])).toThrow()
  })

  it('keeps a signing key’s id over its being written and read', () => {
    expect(createKeyring([oldKept]).signing(start)?.publicJwk).toEqual(old.publicJwk)
    expect(old.kid).toMatch(/^[\w-]{43}$/)
  })
})
