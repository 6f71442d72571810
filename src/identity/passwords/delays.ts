import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { networkOf } from '../network.ts'

/** `seconds` is for Retry-After. */
export type Wait = { readonly status: 'wait'; readonly seconds: number }

/** `unanswered`: it never came to a verdict (busy, or the directory is down). */
export type AttemptEnd = 'right' | 'wrong' | 'unanswered'

export type Delays = ReturnType<typeof createDelays>

type Tally = { readonly failures: number; readonly asOfMs: number; readonly nextAtMs: number }

/** Beyond `free` failures each doubles the wait, from a second on; one is forgiven every `forgivenMs`. */
type Rule = { readonly free: number; readonly forgivenMs: number }

const ACCOUNT: Rule = { free: 5, forgivenMs: 180_000 }
const NETWORK: Rule = { free: 20, forgivenMs: 30_000 }
const LONGEST_WAIT_MS = 60_000
/** The most failures kept beyond the free ones: 2⁶ s is more than the longest wait, so a long attack is not remembered for longer. */
const MOST_BEYOND = 6
const MOST_ENTRIES = 50_000
/** How long a network is one's own after a login from it: a job of the weekend still finds it so. */
const OWN_MS = 7 * 24 * 60 * 60 * 1000

/**
 * The growing delay after failures. An account's counts what was tried on it, from wherever, so that one password is not guessed; but
 * each network that it logged in from lately counts for itself, so that who guesses elsewhere does not make its owner wait. A network's
 * counts the accounts that failed from it, so that one password is not tried on all of them, and a job that keeps sending the
 * same old password does not lock out those beside it. Unknown accounts count like known ones. It never waits: it says how long to.
 */
export function createDelays({ now }: { readonly now: () => number }) {
  // What was typed as a name may be a password, so no name is kept, not even in memory.
  const hashKey = randomBytes(32).toString('hex')
  const accounts = new LRUCache<string, Tally>({ max: MOST_ENTRIES })
  const networks = new LRUCache<string, Tally>({ max: MOST_ENTRIES })
  /** When an account logged in from a network, by the key of both. */
  const own = new LRUCache<string, number>({ max: MOST_ENTRIES })
  const underWay = new Map<string, number>()

  function failuresOf(tally: Tally | undefined, rule: Rule): number {
    return tally === undefined ? 0 : Math.max(0, tally.failures - (now() - tally.asOfMs) / rule.forgivenMs)
  }

  function failed(tally: Tally | undefined, rule: Rule): Tally {
    const failures = Math.min(failuresOf(tally, rule) + 1, rule.free + MOST_BEYOND)
    // Rounded up, or a part that was forgiven while waiting would be a guess for nothing.
    const beyond = Math.ceil(failures) - rule.free
    const waitMs = beyond < 0 ? 0 : Math.min(1000 * 2 ** beyond, LONGEST_WAIT_MS)
    return { failures, asOfMs: now(), nextAtMs: now() + waitMs }
  }

  return {
    /**
     * Asks whether an attempt may be made. Who may must call what it is given, exactly once, with how the attempt ended. `address` is
     * an IP address as client-address.ts writes it.
     */
    begin(account: string, address: string): Wait | { readonly status: 'begun'; readonly end: (how: AttemptEnd) => void } {
      const network = networkOf(address)
      const everywhere = hash('sha256', hashKey + account, 'base64')
      const here = `${everywhere} ${network}`
      const ownSince = own.get(here)
      const key = ownSince !== undefined && now() - ownSince < OWN_MS ? here : everywhere
      const waitMs = Math.max(accounts.get(key)?.nextAtMs ?? 0, networks.get(network)?.nextAtMs ?? 0) - now()
      if (waitMs > 0) return { status: 'wait', seconds: Math.ceil(waitMs / 1000) }
      // Attempts under way count as if they had failed: else a thousand guesses at once would be free.
      const others = underWay.get(key) ?? 0
      if (others > 0 && failuresOf(accounts.get(key), ACCOUNT) + others >= ACCOUNT.free) return { status: 'wait', seconds: 1 }
      underWay.set(key, others + 1)

      return {
        status: 'begun',
        end(how) {
          const left = (underWay.get(key) ?? 1) - 1
          if (left === 0) underWay.delete(key)
          else underWay.set(key, left)
          if (how === 'right') {
            accounts.delete(key)
            own.set(here, now())
          }
          if (how !== 'wrong') return
          const before = accounts.get(key)
          if (failuresOf(before, ACCOUNT) === 0) networks.set(network, failed(networks.get(network), NETWORK))
          accounts.set(key, failed(before, ACCOUNT))
        },
      }
    },
  }
}
