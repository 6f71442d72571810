import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { LONGEST_LIFETIME_S } from './lifetimes.ts'
import { publicJwkOf, readPrivateKey } from './signing-key.ts'
import type { PublicJwk } from './signing-key.ts'

/** A signing key as the registry keeps it, opened. It signs from `notBeforeMs` on until it is retired. */
export type KeptKey = { readonly privateKey: string; readonly notBeforeMs: number; readonly retiredAtMs?: number }

export type RingKey = {
  readonly kid: string
  readonly publicJwk: PublicJwk
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly notBeforeMs: number
  readonly retiredAtMs: number
}

export type Keyring = ReturnType<typeof createKeyring>

/** A new key is published for so long before it signs that whoever keeps a copy of the JWKS has read it. */
export const PUBLISHED_BEFORE_MS = 3_600_000
const ROTATE_AFTER_MS = 90 * 86_400_000

/** Throws where a kept key cannot be read. */
export function createKeyring(kept: readonly KeptKey[]) {
  const keys = kept
    .map(({ privateKey: pem, notBeforeMs, retiredAtMs = Infinity }): RingKey => {
      const privateKey = readPrivateKey(pem)
      const publicJwk = publicJwkOf(privateKey)
      return { kid: publicJwk.kid, publicJwk, privateKey, publicKey: createPublicKey(privateKey), notBeforeMs, retiredAtMs }
    })
    .sort((one, other) => other.notBeforeMs - one.notBeforeMs)
  const byKid = new Map(keys.map((key) => [key.kid, key]))

  function verifies(key: RingKey, nowMs: number): boolean {
    return nowMs < key.retiredAtMs + LONGEST_LIFETIME_S * 1000
  }

  return {
    /** The newest key that is active, or undefined where none is. */
    signing(nowMs: number): RingKey | undefined {
      return keys.find((key) => key.notBeforeMs <= nowMs && nowMs < key.retiredAtMs)
    },
    /**
     * The key of that id, unless every token that it signed has expired. One that does not sign yet verifies: another process's clock
     * may be ahead.
     */
    verifying(kid: string, nowMs: number): RingKey | undefined {
      const key = byKid.get(kid)
      return key !== undefined && verifies(key, nowMs) ? key : undefined
    },
    /** RFC 7517 §5. */
    jwks(nowMs: number): { readonly keys: readonly PublicJwk[] } {
      return { keys: keys.filter((key) => verifies(key, nowMs)).map(({ publicJwk }) => publicJwk) }
    },
    /** Whether it is time for a new key: the newest one, active or still to come, is older than 90 days, or there is none. */
    rotationDue(nowMs: number): boolean {
      const newest = keys.find((key) => nowMs < key.retiredAtMs)
      return newest === undefined || nowMs - newest.notBeforeMs >= ROTATE_AFTER_MS
    },
  }
}
