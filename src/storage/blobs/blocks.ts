import type { Digest } from '../../oci/digest.ts'
import type { BlobReader, Pieces } from '../../ports/blob-store.ts'
import { createSharedLoads } from './shared-loads.ts'

/** One write to a client, and what one that stands still keeps of memory. */
const BLOCK_BYTES = 256 * 1024
/** Above it, memory that nobody uses is left to V8. */
const MAX_SPARE = 32

/** `holders`: the cache, while it is in it, and each reader from when it asks for it until it says that it was sent. */
type Block = { readonly bytes: Buffer; holders: number }

/**
 * Blocks of blobs that are too large to be kept whole, bounded by bytes. All who pull a blob at once share each of its reads, and a
 * blob that is pulled often, and fits, is read no more.
 *
 * Nobody writes into a block while anybody holds it. When nobody does, the next read gets its memory: V8 does not see how much of it
 * waits to be collected (docs/performance/blobs.md). A reader that ends without saying that its block was sent holds it for good, and
 * its memory is V8's to collect.
 */
export function createBlocks(maxBytes: number) {
  const spare: Buffer[] = []
  const blocks = createSharedLoads<string, Block>(maxBytes, ({ bytes }) => bytes.length, {
    hold(block, by) {
      block.holders += by
    },
    letGo,
  })

  function letGo(block: Block): void {
    block.holders -= 1
    if (block.holders === 0 && block.bytes.length === BLOCK_BYTES && spare.length < MAX_SPARE) spare.push(block.bytes)
  }

  const memoryOf = (length: number): Buffer => (length === BLOCK_BYTES ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(length)

  return {
    /** The bytes of a blob from `first` to `last`. The blob is opened where a block is not here, and once. */
    async *read(digest: Digest, sizeBytes: number, first: number, last: number, open: () => Promise<BlobReader | undefined>): Pieces {
      let opened: Promise<BlobReader | undefined> | undefined
      const blockAt = (index: number): Block | Promise<Block | undefined> =>
        blocks.get(`${digest} ${index}`, async () => {
          const reader = await (opened ??= open())
          const start = index * BLOCK_BYTES
          return reader && { bytes: await reader.read(start, memoryOf(Math.min(BLOCK_BYTES, sizeBytes - start))), holders: 0 }
        })
      try {
        for (let index = Math.floor(first / BLOCK_BYTES); index <= Math.floor(last / BLOCK_BYTES); index += 1) {
          const block = await blockAt(index)
          if (block === undefined) throw new Error(`${digest} went away while it was read`)
          const start = index * BLOCK_BYTES
          if ((yield block.bytes.subarray(Math.max(0, first - start), last + 1 - start)) === 'sent') letGo(block)
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
