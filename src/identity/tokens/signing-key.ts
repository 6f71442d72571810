import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** RFC 7517, RFC 7518 §6.2.1: what the JWKS publishes of a key. */
export type PublicJwk = {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly use: 'sig'
  readonly alg: 'ES256'
  readonly kid: string
}

/** `privateKey` is PKCS #8 in PEM: a secret, for the caller to seal. */
export type MadeSigningKey = { readonly kid: string; readonly publicJwk: PublicJwk; readonly privateKey: string }

export function makeSigningKey(): MadeSigningKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicJwk = publicJwkOf(privateKey)
  return { kid: publicJwk.kid, publicJwk, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}

/** Throws where the text is no key for ES256. */
export function readPrivateKey(pem: string): KeyObject {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('a signing key on another curve than P-256')
  return key
}

/** The `kid` is the key's thumbprint (RFC 7638), so no two keys have the same. */
export function publicJwkOf(privateKey: KeyObject): PublicJwk {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  if (x === undefined || y === undefined) throw new Error('a signing key without coordinates')
  const kid = hash('sha256', JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }), 'base64url')
  return { kty: 'EC', crv: 'P-256', x, y, use: 'sig', alg: 'ES256', kid }
}
