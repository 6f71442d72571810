import { LRUCache } from 'lru-cache'

/** What an entry costs beside its bytes, about; an empty one has a size too. */
const ENTRY_BYTES = 512

/**
 * What was loaded, in memory bounded by bytes. All who ask for the same thing at once share one load. What is dropped while it is
 * loaded goes to those who wait for it, and is not kept; what is absent, or failed to load, is not remembered.
 */
export function createSharedLoads<K extends string, V extends object>(maxBytes: number, bytesOf: (value: V) => number) {
  const held = new LRUCache<K, V>({ maxSize: Math.max(1, maxBytes), sizeCalculation: (value) => ENTRY_BYTES + bytesOf(value) })
  const loading = new Map<K, Promise<V | undefined>>()

  function share(key: K, load: () => Promise<V | undefined>): Promise<V | undefined> {
    const loaded = load().then(
      (value) => {
        if (loading.get(key) !== loaded) return value
        loading.delete(key)
        if (value !== undefined) held.set(key, value)
        return value
      },
      (error: unknown) => {
        if (loading.get(key) === loaded) loading.delete(key)
        throw error
      },
    )
    loading.set(key, loaded)
    return loaded
  }

  return {
    get: (key: K, load: () => Promise<V | undefined>): V | Promise<V | undefined> => held.get(key) ?? loading.get(key) ?? share(key, load),
    /** What is held, without a load. */
    peek: (key: K): V | undefined => held.peek(key),
    drop(key: K): void {
      held.delete(key)
      loading.delete(key)
    },
    keys: (): K[] => [...held.keys(), ...loading.keys()],
  }
}
