import { Type } from '@sinclair/typebox'
import { faultWords, passwordFaults } from '../../identity/passwords/policy.ts'
import { makeSecret } from '../../identity/passwords/made-secret.ts'
import { SECRETS } from '../../ports/key-store.ts'
import type { Sealed } from '../../ports/key-store.ts'
import type { Management } from './management.ts'
import { busy } from './refusals.ts'
import { apiError } from './route.ts'
import type { ApiError } from './route.ts'

/** A number that the wire shows for a user, group or robot. */
export const Number32 = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 })

/** A text of one line as it can be stored: without control characters, well-formed. */
export function line(maxLength: number, minLength = 0) {
  return Type.String({ minLength, maxLength, pattern: '^[^\\p{Cc}\\p{Cs}]*$' })
}

/** A text as it can be stored: well-formed, without U+0000. */
export function text(maxLength: number) {
  return Type.String({ maxLength, pattern: '^[^\\u0000\\p{Cs}]*$' })
}

/** Long enough for every password that the policy lets through, whatever it is made of. */
export const Secret = Type.String({ maxLength: 1_024 })

/** The verifier of what a person chose, sealed; or what is wrong with it. */
export async function sealChosen({ verifiers, sealer }: Management, secret: string): Promise<Sealed | ApiError> {
  const faults = passwordFaults(secret)
  if (faults.length > 0) return apiError(400, 'BAD_REQUEST', `it ${faultWords(faults)}`)
  const made = await verifiers.forPassword(secret)
  return made === 'busy' ? busy : sealer.seal(SECRETS, made.verifier)
}

/** A secret made here, and its verifier, sealed. */
export async function makeSealed({ verifiers, sealer }: Management): Promise<{ readonly secret: string; readonly verifier: Sealed }> {
  const secret = makeSecret()
  return { secret, verifier: await sealer.seal(SECRETS, verifiers.forSecret(secret)) }
}

/** The secret that somebody gave, or one that is made here where they gave none, and its verifier, sealed. */
export async function givenOrMade(management: Management, given: string | undefined): Promise<{ readonly secret: string; readonly verifier: Sealed } | ApiError> {
  if (given === undefined || given === '') return makeSealed(management)
  const verifier = await sealChosen(management, given)
  return typeof verifier === 'string' ? { secret: given, verifier } : verifier
}
