import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { parseKeyId } from '../ports/key-store.ts'
import type { KeyId, Sealed, StoredKey } from '../ports/key-store.ts'

/** A sealed value is base64url(1 ‖ key id (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16)): it stands in events, so it cannot change. */
const VERSION = 1
const KEY_ID_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES
const CONTEXT = Buffer.from('varve/private/1')

/** A forgotten person's value is gone for good; `absent` is an alarm (see StoredKey). */
export type Opened =
  | { readonly status: 'opened'; readonly clear: string }
  | { readonly status: 'forgotten' }
  | { readonly status: 'absent' }

/** Seals a text under a key of 32 bytes. The same text sealed twice gives two values. */
export function seal(keyId: KeyId, key: Uint8Array, clear: string): Sealed {
  const id = keyIdBytes(keyId)
  const sealed = Buffer.concat([Buffer.of(VERSION), id, aesGcmSeal(key, Buffer.concat([CONTEXT, id]), Buffer.from(clear))])
  return sealed.toString('base64url') as Sealed
}

/** Opens a value with the key that it names. Throws where the value is none, or was changed. */
export async function open(sealed: Sealed, lookup: (id: KeyId) => StoredKey | Promise<StoredKey>): Promise<Opened> {
  const stored = await lookup(sealedKeyId(sealed))
  return stored.status === 'present' ? { status: 'opened', clear: openWith(sealed, stored.key) } : { status: stored.status }
}

/** Opens a value with the key at hand. Throws where the value is none, was changed, or was sealed with another key. */
export function openWith(sealed: Sealed, key: Uint8Array): string {
  const bytes = decode(sealed)
  const id = bytes.subarray(1, 1 + KEY_ID_BYTES)
  try {
    return aesGcmOpen(key, Buffer.concat([CONTEXT, id]), bytes.subarray(1 + KEY_ID_BYTES)).toString()
  } catch (cause) {
    throw new Error(`a value sealed with key ${sealedKeyId(sealed)} does not open: it was changed, or the key is another`, { cause })
  }
}

/** The key that a value was sealed with. */
export function sealedKeyId(sealed: Sealed): KeyId {
  const hex = decode(sealed).toString('hex', 1, 1 + KEY_ID_BYTES)
  const id = parseKeyId([hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'))
  if (id === undefined) throw new Error('a sealed value names no key')
  return id
}

function decode(sealed: Sealed): Buffer {
  const bytes = Buffer.from(sealed, 'base64url')
  // Other characters would decode to the same bytes; only one spelling is a sealed value.
  if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== VERSION || bytes.toString('base64url') !== sealed) {
    throw new Error('not a sealed value')
  }
  return bytes
}

export function keyIdBytes(id: KeyId): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

/** nonce (12) ‖ ciphertext ‖ tag (16). */
export function aesGcmSeal(key: Uint8Array, associated: Uint8Array, clear: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(associated)
  return Buffer.concat([nonce, cipher.update(clear), cipher.final(), cipher.getAuthTag()])
}

/** Throws where key or associated data are others, or a bit has changed. */
export function aesGcmOpen(key: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(associated).setAuthTag(sealed.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
}
