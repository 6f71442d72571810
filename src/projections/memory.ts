import { LRUCache } from 'lru-cache'

/** What is there already, or comes: a pull asks for four such things, and a promise for each that is there costs more than the look. */
export type MaybeLater<V> = V | Promise<V | undefined>

/**
 * A bounded memory in front of queries. A miss is never remembered. A row that was read is stored only if nothing of its key has
 * changed since the read began: a change drops the entry and every read of it that is under way.
 */
export function createMemory<V extends object | string | number>(maxEntries: number) {
  const entries = new LRUCache<string, { value: V }>({ max: maxEntries })
  const reading = new Map<string, Promise<V | undefined>>()

  async function share(key: string, read: () => Promise<V | undefined>): Promise<V | undefined> {
    const underWay = reading.get(key)
    if (underWay !== undefined) return underWay
    const started = read()
    reading.set(key, started)
    try {
      const value = await started
      if (value !== undefined && reading.get(key) === started) entries.set(key, { value })
      return value
    } finally {
      if (reading.get(key) === started) reading.delete(key)
    }
  }

  return {
    /** The remembered value, without a read. */
    peek(key: string): V | undefined {
      return entries.get(key)?.value
    },
    /** The value of a key, at once where it is remembered; callers that ask while a read is under way share it. */
    get(key: string, read: () => Promise<V | undefined>): MaybeLater<V> {
      const remembered = entries.get(key)
      return remembered === undefined ? share(key, read) : remembered.value
    },
    drop(key: string): void {
      entries.delete(key)
      reading.delete(key)
    },
    /** Whatever is being read may be old: nobody who asks from here on is answered by it, and it is not stored. What is stored stays. */
    dropReads(): void {
      reading.clear()
    },
    clear(): void {
      entries.clear()
      reading.clear()
    },
  }
}

export type Memory<V extends object | string | number> = ReturnType<typeof createMemory<V>>
