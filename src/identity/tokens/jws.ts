import { sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Keyring, RingKey } from './keyring.ts'

/** `at+jwt` is RFC 9068's; a refresh token's type is our own, so neither passes for the other. */
export type TokenType = 'at+jwt' | 'varve-refresh+jwt'

export type JwsRefusal = 'malformed' | 'signature' | 'algorithm' | 'key' | 'type'

export type VerifySignature = (data: string, key: KeyObject, signature: Buffer) => boolean

/** RFC 7518 §3.4: r and s, 32 bytes each. */
const ES256 = { dsaEncoding: 'ieee-p1363' } as const
const SIGNATURE_BYTES = 64

/** More than any header line that a server lets in. */
const LONGEST_TOKEN = 65_536

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function headerOf(kid: string, type: TokenType): string {
  return encode({ alg: 'ES256', typ: type, kid })
}

export function signJws(key: RingKey, type: TokenType, payload: unknown): string {
  const data = `${headerOf(key.kid, type)}.${encode(payload)}`
  return `${data}.${sign('sha256', Buffer.from(data), { key: key.privateKey, ...ES256 }).toString('base64url')}`
}

export function verifyEs256(data: string, key: KeyObject, signature: Buffer): boolean {
  return verify('sha256', Buffer.from(data), { key, ...ES256 }, signature)
}

/**
 * The payload of a JWS of ours, or why it is none. All tokens that it lets in were made by `signJws`, so the header must be, byte for byte,
 * the one that is written for that key and type: `alg`, `crit`, `b64`, `jwk`, `jku` and whatever else a header may ask for are never
 * followed. Nothing of the payload is read before its signature is verified. Never throws.
 */
export function openJws(
  text: string,
  type: TokenType,
  keyring: Keyring,
  nowMs: number,
  verifySignature: VerifySignature,
): { readonly payload: unknown } | { readonly refused: JwsRefusal } {
  const [header, payload, signature, ...more] = text.length > LONGEST_TOKEN ? [] : text.split('.')
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) return { refused: 'malformed' }
  const read = parseJson(header)
  if (typeof read !== 'object' || read === null || payload === '') return { refused: 'malformed' }
  if (!('alg' in read) || read.alg !== 'ES256') return { refused: 'algorithm' }
  if (!('typ' in read) || read.typ !== type) return { refused: 'type' }
  const key = 'kid' in read && typeof read.kid === 'string' ? keyring.verifying(read.kid, nowMs) : undefined
  if (key === undefined) return { refused: 'key' }
  if (header !== headerOf(key.kid, type)) return { refused: 'malformed' }
  const bytes = Buffer.from(signature, 'base64url')
  // A signature has one spelling, lest one token be remembered as many.
  if (bytes.length !== SIGNATURE_BYTES || bytes.toString('base64url') !== signature) return { refused: 'signature' }
  if (!verifySignature(`${header}.${payload}`, key.publicKey, bytes)) return { refused: 'signature' }
  return { payload: parseJson(payload) }
}

function parseJson(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    return undefined
  }
}
