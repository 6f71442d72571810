import { Type } from '@sinclair/typebox'
import { Instant, SealedText, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/**
 * A pair of keys that tokens are signed with from `notBefore` on, until another's. The public one is a JWK as JSON. Older ones are honoured
 * until their tokens expire.
 */
export const SigningKeyMade = eventType(
  'SigningKeyMade',
  Type.Object(
    {
      kid: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
      notBefore: Instant,
      publicKey: Type.String({ maxLength: 1_000 }),
      privateKey: SealedText,
    },
    closed,
  ),
)

/** The key of the keyed hashes that secrets made by machines are kept as. Made once. */
export const VerifierKeyMade = eventType('VerifierKeyMade', Type.Object({ key: SealedText }, closed))

/** All stand in the stream `keys`, sealed under the key named `secrets`. */
export const keysEvents = [SigningKeyMade, VerifierKeyMade] as const

export type KeysFact = FactOf<(typeof keysEvents)[number]>
