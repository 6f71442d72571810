import type { AttemptEnd, Delays, Wait } from './delays.ts'
import type { Checked, CredentialMemory } from './remembered.ts'

/** Why a credential let nobody in: it is wrong, another attempt may be made later (429, Retry-After), or too many are under way (429). */
export type CheckFailure = { readonly status: 'wrong' } | { readonly status: 'busy' } | Wait

export type Attempt = { readonly account: string; readonly secret: string; readonly address: string }

/**
 * Checks name and secret: from memory, else, where the delays allow an attempt, by `verify`. Memory comes first, so that guesses at
 * somebody's password do not lock out the clients that have it.
 */
export function createCredentialCheck<T extends { readonly id: string }>(memory: CredentialMemory<T, CheckFailure>, delays: Delays) {
  return ({ account, secret, address }: Attempt, verify: () => Promise<T | 'wrong' | 'busy'>): Promise<Checked<T, CheckFailure>> =>
    memory.get(account, secret, async () => {
      const attempt = delays.begin(account, address)
      if (attempt.status === 'wait') return { failed: attempt }
      let end: AttemptEnd = 'unanswered'
      try {
        const verified = await verify()
        if (verified === 'busy') return { failed: { status: 'busy' } }
        end = verified === 'wrong' ? 'wrong' : 'right'
        return verified === 'wrong' ? { failed: { status: 'wrong' } } : { subject: verified }
      } finally {
        attempt.end(end)
      }
    })
}
