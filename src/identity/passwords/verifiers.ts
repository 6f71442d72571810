import type { KeyObject } from 'node:crypto'
import { isOfToday, makeArgon2Verifier, makeHmacVerifier, parseVerifier } from './schemes.ts'
import { matchesArgon2, matchesHmac, matchesPbkdf2, spendArgon2 } from './schemes.ts'
import type { Slots } from './slots.ts'

/**
 * `right, make anew`: right, but by a scheme or parameters of the past. Whoever knows what kind of secret it is stores a new verifier
 * of it.
 */
export type Verdict = 'right' | 'right, make anew' | 'wrong'

export type Verifiers = ReturnType<typeof createVerifiers>

/**
 * Makes and checks stored verifiers. `secretKey` is the registry's key for machine-made secrets, at least 32 bytes; `slots` bounds what
 * is costly. `busy` is for the door to answer 429.
 */
export function createVerifiers({ secretKey, slots }: { readonly secretKey: KeyObject; readonly slots: Slots }) {
  if ((secretKey.symmetricKeySize ?? 0) < 32) throw new Error('the key for machine-made secrets is shorter than 32 bytes')

  return {
    /** For what a person chose, a robot's secret that a person chose among it. */
    forPassword(password: string): Promise<{ readonly verifier: string } | 'busy'> {
      return slots.run(async () => ({ verifier: await makeArgon2Verifier(password) }))
    },

    /** For what `makeSecret` made. */
    forSecret(secret: string): string {
      return makeHmacVerifier(secretKey, secret)
    },

    async verify(text: string, secret: string): Promise<Verdict | 'busy'> {
      const verifier = parseVerifier(text)
      const right = isOfToday(verifier) ? 'right' : 'right, make anew'
      switch (verifier.scheme) {
        case 'hmac-sha256':
          return matchesHmac(verifier, secretKey, secret) ? right : 'wrong'
        case 'argon2id':
          return slots.run(async () => ((await matchesArgon2(verifier, secret)) ? right : 'wrong'))
        case 'pbkdf2':
          return slots.run(async () => {
            if (await matchesPbkdf2(verifier, secret)) return right
            // Else a quick refusal would tell that somebody of this name came from Harbor.
            await spendArgon2(secret)
            return 'wrong'
          })
      }
    },

    /** For a name that nobody has: it costs what the password of somebody costs. */
    verifyNobody(secret: string): Promise<'wrong' | 'busy'> {
      return slots.run(async () => {
        await spendArgon2(secret)
        return 'wrong' as const
      })
    },
  }
}
