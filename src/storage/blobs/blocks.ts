import type { Digest } from '../../oci/digest.ts'
import type { BlobReader } from '../../ports/blob-store.ts'
import { createSharedLoads } from './shared-loads.ts'

/** One write to a client, and what one that stands still keeps of memory. */
const BLOCK_BYTES = 256 * 1024

/**
 * Blocks of blobs that are too large to be kept whole, bounded by bytes. All who pull a blob at once share each of its reads, and a
 * blob that is pulled often, and fits, is read no more. Nobody writes into a block.
 */
export function createBlocks(maxBytes: number) {
  const blocks = createSharedLoads<string, Buffer>(maxBytes, (bytes) => bytes.length)

  return {
    /**
     * The bytes of a blob from `first` to `last`. The next block is read while the consumer has this one. The blob is opened where a
     * block is not here, and once.
     */
    async *read(digest: Digest, sizeBytes: number, first: number, last: number, open: () => Promise<BlobReader | undefined>): AsyncGenerator<Buffer> {
      let opened: Promise<BlobReader | undefined> | undefined
      const blockAt = (index: number): Buffer | Promise<Buffer | undefined> =>
        blocks.get(`${digest} ${index}`, async () => {
          const reader = await (opened ??= open())
          return reader?.read(index * BLOCK_BYTES, Math.min((index + 1) * BLOCK_BYTES, sizeBytes) - 1)
        })
      try {
        for (let index = Math.floor(first / BLOCK_BYTES); index <= Math.floor(last / BLOCK_BYTES); index += 1) {
          const bytes = await blockAt(index)
          if (bytes === undefined) throw new Error(`${digest} went away while it was read`)
          const start = index * BLOCK_BYTES
          yield bytes.subarray(Math.max(0, first - start), last + 1 - start)
        }
      } finally {
        await (await opened)?.close()
      }
    },

    drop(digest: Digest): void {
      for (const key of blocks.keys()) if (key.startsWith(digest)) blocks.drop(key)
    },
  }
}
