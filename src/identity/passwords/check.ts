import { folded } from '../../ports/same-name.ts'
import type { AccountFault } from '../ldap/active-directory.ts'
import type { AttemptEnd, Delays, Wait } from './delays.ts'
import type { Checked, CredentialMemory } from './remembered.ts'

/** What is said of a credential that is not let in: it is wrong, its account is barred, too many are under way, or who knows cannot be asked. */
export type NotLetIn = 'wrong' | AccountFault | 'busy' | 'unavailable'

/**
 * Why a credential let nobody in: it is wrong or its account barred (401), another attempt may be made later (429, Retry-After), too many
 * are under way (429), or who knows cannot be asked (503).
 */
export type CheckFailure = { readonly status: NotLetIn } | Wait

export type Attempt = { readonly account: string; readonly secret: string; readonly address: string }

/**
 * Checks name and secret: from memory, else, where the delays allow an attempt, by `verify`. Memory comes first, so that guesses at
 * somebody's password do not lock out the clients that have it.
 */
export function createCredentialCheck<T extends { readonly id: string }>(memory: CredentialMemory<T, CheckFailure>, delays: Delays) {
  return ({ account, secret, address }: Attempt, verify: () => Promise<T | NotLetIn>): Promise<Checked<T, CheckFailure>> =>
    memory.get(account, secret, async () => {
      const attempt = delays.begin(guessedAt(account), address)
      if (attempt.status === 'wait') return { failed: attempt }
      let end: AttemptEnd = 'unanswered'
      try {
        const verified = await verify()
        if (verified === 'busy' || verified === 'unavailable') return { failed: { status: verified } }
        end = typeof verified === 'string' ? 'wrong' : 'right'
        return typeof verified === 'string' ? { failed: { status: verified } } : { subject: verified }
      } finally {
        attempt.end(end)
      }
    })
}

/**
 * What an account's guesses are counted by: all spellings of a name that lead to one account share it, those that only a directory takes
 * for one too (RFC 4518: spaces at its ends, and how many between; Active Directory: accents). Names that only look alike share it as well.
 */
function guessedAt(account: string): string {
  return folded(account).normalize('NFKD').replace(/[\p{M}\p{Cf}]/gu, '').toUpperCase().replace(/\s+/g, ' ').trim()
}
