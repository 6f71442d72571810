import { isUuid } from './uuid.ts'

/** A key's 16 random bytes as a lower-case UUID. */
export type KeyId = string & { readonly __brand: 'KeyId' }

/** Undefined where a text is no lower-case UUID. Whether there is such a key, the store knows. */
export function parseKeyId(text: string): KeyId | undefined {
  return isUuid(text) ? (text as KeyId) : undefined
}

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
  /** Rejects where what is kept does not unwrap: the master key is another, or it was damaged. */
  get(id: KeyId): Promise<StoredKey>
  /** Puts a tombstone in the key's place. */
  forget(id: KeyId): Promise<void>
}

/** What only a key opens: base64url(1 ‖ key id (16 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16)). */
export type Sealed = string & { readonly __brand: 'Sealed' }

/** The subject's key is destroyed: nothing can be sealed for it any more. */
export class ForgottenError extends Error {
  override readonly name = 'ForgottenError'
}

/** Seals texts under a subject's own key, which is made at its first use. */
export interface Sealer {
  /** `subject` is a random id, or `SECRETS`. Rejects with ForgottenError where the subject was forgotten. */
  seal(subject: string, clear: string): Promise<Sealed>
  /** Undefined where the subject was forgotten. Rejects where the key is absent: nothing removes one without a tombstone. */
  open(sealed: Sealed): Promise<string | undefined>
  /** Destroys a subject's key, durably and in memory: what was sealed with it is opened by nobody any more. May be repeated. */
  forget(subject: string): Promise<void>
}

/** The id of the key that seals what is nobody's: password verifiers, signing keys, credentials of third parties. */
export const SECRETS = '00000000-0000-4000-8000-736563726574'
