import { LRUCache } from 'lru-cache'

const GOOD_FOR_MS = 10 * 60_000
/** Long enough that a flood of logins does not become one of calls, and short enough that nobody waits for a provider that is back. */
const BAD_FOR_MS = 3_000

/** What was loaded for a key, for ten minutes; a refusal for three seconds. Who asks while it is being loaded waits for the same answer. */
export function remembering<T extends { readonly kind: string }>(
  load: (key: string) => Promise<T>,
  now: () => number,
): (key: string) => Promise<T> {
  const cache = new LRUCache<string, T>({
    max: 1_000,
    ttl: GOOD_FOR_MS,
    ttlResolution: 0,
    perf: { now },
    fetchMethod: async (key, _old, { options }) => {
      const found = await load(key)
      if (found.kind === 'refusal') options.ttl = BAD_FOR_MS
      return found
    },
  })
  return (key) => cache.forceFetch(key)
}
