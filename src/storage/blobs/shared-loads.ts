import { LRUCache } from 'lru-cache'

/** What an entry costs beside its bytes, about; an empty one has a size too. */
const ENTRY_BYTES = 512

/** Told who has a value: one more each time that it is kept or answered, one less when it is kept no more. */
export type Holding<V> = { readonly hold: (value: V, by: number) => void; readonly letGo: (value: V) => void }

/**
 * What was loaded, in memory bounded by bytes. All who ask for the same thing at once share one load. What is dropped while it is
 * loaded goes to those who wait for it, and is not kept; what is absent, or failed to load, is not remembered.
 */
export function createSharedLoads<K extends string, V extends object>(
  maxBytes: number, bytesOf: (value: V) => number, { hold, letGo }: Holding<V> = { hold: () => undefined, letGo: () => undefined },
) {
  const held = new LRUCache<K, V>({
    maxSize: Math.max(1, maxBytes),
    sizeCalculation: (value) => ENTRY_BYTES + bytesOf(value),
    onInsert: (value) => { hold(value, 1) },
    dispose: letGo,
  })
  const loading = new Map<K, { askers: number; readonly loaded: Promise<V | undefined> }>()

  function share(key: K, load: () => Promise<V | undefined>): Promise<V | undefined> {
    const mine = { askers: 1, loaded: load().then(keep, forget) }
    loading.set(key, mine)
    return mine.loaded

    function keep(value: V | undefined): V | undefined {
      // Before it is kept, and may be pushed out by the next: each asker has it from here on, and gets it some turns later.
      if (value !== undefined) hold(value, mine.askers)
      if (loading.get(key) !== mine) return value
      loading.delete(key)
      if (value !== undefined) held.set(key, value)
      return value
    }

    function forget(error: unknown): never {
      if (loading.get(key) === mine) loading.delete(key)
      throw error
    }
  }

  return {
    get(key: K, load: () => Promise<V | undefined>): V | Promise<V | undefined> {
      const value = held.get(key)
      if (value !== undefined) {
        hold(value, 1)
        return value
      }
      const underWay = loading.get(key)
      if (underWay === undefined) return share(key, load)
      underWay.askers += 1
      return underWay.loaded
    },
    /** What is held, without a load. */
    peek: (key: K): V | undefined => held.peek(key),
    drop(key: K): void {
      held.delete(key)
      loading.delete(key)
    },
    keys: (): K[] => [...held.keys(), ...loading.keys()],
  }
}
