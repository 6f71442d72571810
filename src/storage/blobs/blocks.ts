import { LRUCache } from 'lru-cache'
import type { Digest } from '../../oci/digest.ts'
import type { BlobReader } from '../../ports/blob-store.ts'

/** One write to a client, and what one that stands still keeps of memory. */
const BLOCK_BYTES = 256 * 1024
/** What an entry costs beside its bytes, about. */
const ENTRY_BYTES = 512

/**
 * Blocks of blobs that are too large to be kept whole, bounded by bytes. All who pull a blob at once share each of its reads, and a
 * blob that is pulled often, and fits, is read no more. Nobody writes into a block.
 */
export function createBlocks(maxBytes: number) {
  const held = new LRUCache<string, Buffer>({ maxSize: Math.max(1, maxBytes), sizeCalculation: (bytes) => ENTRY_BYTES + bytes.length })
  const loading = new Map<string, Promise<Buffer>>()

  function block(key: string, load: () => Promise<Buffer>): Buffer | Promise<Buffer> {
    const known = held.get(key) ?? loading.get(key)
    if (known !== undefined) return known
    const loaded = load()
    loading.set(key, loaded)
    loaded.then(
      (bytes) => {
        if (loading.get(key) !== loaded) return
        loading.delete(key)
        held.set(key, bytes)
      },
      () => {
        // Whoever waits for it is told.
        if (loading.get(key) === loaded) loading.delete(key)
      },
    )
    return loaded
  }

  return {
    /**
     * The bytes of a blob from `first` to `last`. The next block is read while the consumer has this one. The blob is opened where a
     * block is not here, and once.
     */
    async *read(digest: Digest, sizeBytes: number, first: number, last: number, open: () => Promise<BlobReader | undefined>): AsyncGenerator<Buffer> {
      let opened: Promise<BlobReader | undefined> | undefined
      const blockAt = (index: number): Buffer | Promise<Buffer> =>
        block(`${digest} ${index}`, async () => {
          const reader = await (opened ??= open())
          if (reader === undefined) throw new Error(`${digest} went away while it was read`)
          return reader.read(index * BLOCK_BYTES, Math.min((index + 1) * BLOCK_BYTES, sizeBytes) - 1)
        })
      const lastIndex = Math.floor(last / BLOCK_BYTES)
      let ahead: Buffer | Promise<Buffer> | undefined
      try {
        for (let index = Math.floor(first / BLOCK_BYTES); index <= lastIndex; index += 1) {
          const bytes = await (ahead ?? blockAt(index))
          ahead = index < lastIndex ? blockAt(index + 1) : undefined
          // Whoever stops early does not come back for it.
          if (ahead instanceof Promise) ahead.catch(() => undefined)
          const start = index * BLOCK_BYTES
          yield bytes.subarray(Math.max(0, first - start), last + 1 - start)
        }
      } finally {
        // A read of this one's may still be under way, and others wait for it.
        if (ahead instanceof Promise) await ahead.catch(() => undefined)
        await (await opened)?.close()
      }
    },

    drop(digest: Digest): void {
      for (const keys of [held, loading]) for (const key of [...keys.keys()]) if (key.startsWith(digest)) keys.delete(key)
    },
  }
}
