import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'

/** Whose a credential is, or why it is nobody's. */
export type Checked<T, F> = { readonly subject: T } | { readonly failed: F }

export type CredentialMemory<T extends { readonly id: string }, F> = ReturnType<typeof createCredentialMemory<T, F>>

/** How long a verified credential is remembered: argon2 at each request would sink a storm of pulls. */
const REMEMBERED_MS = 60_000
const MOST_ENTRIES = 10_000

/**
 * Remembers whose a verified credential is, by a keyed hash, never in clear; a failure is never remembered. Callers with the same
 * credential share one verification.
 */
export function createCredentialMemory<T extends { readonly id: string }, F>({ now }: { readonly now: () => number }) {
  const hashKey = randomBytes(32).toString('hex')
  const keysOf = new Map<string, Set<string>>()
  const entries = new LRUCache<string, { readonly subject: T; readonly untilMs: number }>({
    max: MOST_ENTRIES,
    dispose: ({ subject }, key) => {
      const keys = keysOf.get(subject.id)
      keys?.delete(key)
      if (keys?.size === 0) keysOf.delete(subject.id)
    },
  })
  const shared = new Map<string, Promise<Checked<T, F>>>()
  /** For each verification under way, the subjects that were dropped since it began. */
  const droppedSince = new Set<Set<string>>()

  function keyOf(account: string, secret: string): string {
    // Never shown, so the key before the text is keyed hash enough; createHmac costs four times as much.
    return hash('sha256', `${hashKey}${account.length}:${account}${secret}`, 'base64')
  }

  function peek(key: string): T | undefined {
    const entry = entries.get(key)
    return entry !== undefined && now() < entry.untilMs ? entry.subject : undefined
  }

  function remember(key: string, subject: T): void {
    entries.set(key, { subject, untilMs: now() + REMEMBERED_MS })
    keysOf.set(subject.id, (keysOf.get(subject.id) ?? new Set()).add(key))
  }

  async function verifyOnce(key: string, verify: () => Promise<Checked<T, F>>): Promise<Checked<T, F>> {
    const dropped = new Set<string>()
    droppedSince.add(dropped)
    try {
      const checked = await verify()
      if ('subject' in checked && !dropped.has(checked.subject.id)) remember(key, checked.subject)
      return checked
    } finally {
      droppedSince.delete(dropped)
    }
  }

  return {
    /** From memory, or by `verify`. */
    async get(account: string, secret: string, verify: () => Promise<Checked<T, F>>): Promise<Checked<T, F>> {
      const key = keyOf(account, secret)
      const subject = peek(key)
      if (subject !== undefined) return { subject }
      const verifying = shared.get(key) ?? verifyOnce(key, verify)
      shared.set(key, verifying)
      try {
        return await verifying
      } finally {
        if (shared.get(key) === verifying) shared.delete(key)
      }
    },

    /**
     * Forgets a subject at once. What is being verified, and may have seen the subject as it was, is neither remembered nor shared any
     * more.
     */
    drop(subjectId: string): void {
      for (const key of [...(keysOf.get(subjectId) ?? [])]) entries.delete(key)
      for (const dropped of droppedSince) dropped.add(subjectId)
      shared.clear()
    },
  }
}
