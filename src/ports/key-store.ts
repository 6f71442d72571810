/** A key's 16 random bytes as a lower-case UUID. */
export type KeyId = string & { readonly __brand: 'KeyId' }

export function parseKeyId(text: string): KeyId | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text) ? (text as KeyId) : undefined
}

/** Personal data or a secret as events and tables may hold it: base64url, and it names the key that opens it. */
export type Sealed = string & { readonly __brand: 'Sealed' }

export type StoredKey =
  | { readonly status: 'present'; readonly key: Buffer }
  /** A person was forgotten: what was sealed with the key can be opened by nobody. */
  | { readonly status: 'forgotten' }
  /** Neither key nor tombstone: an alarm, since nothing removes a key without leaving a tombstone. */
  | { readonly status: 'absent' }

/** The 256-bit keys that seal personal data and secrets. Each is kept wrapped under the registry's master key. */
export interface KeyStore {
  /** Stores a key durably. `exists` where one is there already, or a tombstone: the loser reads the winner's. */
  create(id: KeyId, key: Buffer): Promise<'created' | 'exists'>
  get(id: KeyId): Promise<StoredKey>
  /** Puts a tombstone in the key's place. */
  forget(id: KeyId): Promise<void>
}

/** What only a key opens: base64url(1 ‖ key id (16 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16)). */
export type Sealed = string & { readonly __brand: 'Sealed' }
