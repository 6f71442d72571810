import type { Digest } from '../../oci/digest.ts'
import { MAX_WHOLE_BYTES } from '../../ports/blob-store.ts'
import type { BlobStat, BlobStore, Pieces } from '../../ports/blob-store.ts'
import { createBlocks } from './blocks.ts'
import { createSharedLoads } from './shared-loads.ts'

/** A blob that is not kept whole. */
type Large = { readonly sizeBytes: number }

/**
 * A BlobStore that keeps what was read in memory, bounded by bytes: small blobs whole, in half of it, and blocks of the others in the
 * other half, so that a large layer pushes no manifest out. All who ask for the same blob at once share one read, and all get the
 * same buffer: nobody writes into it. Bytes of a digest never change, so an entry goes only for room, or when the blob is set aside
 * or healed, or `stat` finds that it is not what it was. A miss is never remembered.
 */
export function cachingBlobStore(
  store: BlobStore,
  { maxBytes, maxBlobBytes = MAX_WHOLE_BYTES }: { readonly maxBytes: number; readonly maxBlobBytes?: number },
): BlobStore {
  const whole = createSharedLoads<Digest, Buffer | Large>(maxBytes / 2, (found) => (Buffer.isBuffer(found) ? found.length : 0))
  const blocks = createBlocks(maxBytes / 2)
  /** Each pull of a large blob looks at its file. What was seen is not kept, only shared by those who ask meanwhile. */
  const looks = createSharedLoads<Digest, BlobStat>(0, () => 0)

  function drop(digest: Digest): void {
    looks.drop(digest)
    whole.drop(digest)
    blocks.drop(digest)
  }

  const find = (digest: Digest): Buffer | Large | Promise<Buffer | Large | undefined> =>
    whole.get(digest, async () => {
      const size = (await store.stat(digest))?.sizeBytes
      if (size === undefined) return undefined
      return size > maxBlobBytes ? { sizeBytes: size } : store.read(digest)
    })

  return {
    ...store,

    async stat(digest) {
      const found = await looks.get(digest, () => store.stat(digest))
      const known = whole.peek(digest)
      if (known !== undefined && found?.sizeBytes !== (Buffer.isBuffer(known) ? known.length : known.sizeBytes)) drop(digest)
      return found
    },

    async read(digest) {
      const found = await find(digest)
      return found === undefined || Buffer.isBuffer(found) ? found : store.read(digest)
    },

    async open(digest, range) {
      const found = await find(digest)
      if (found === undefined) return undefined
      const sizeBytes = Buffer.isBuffer(found) ? found.length : found.sizeBytes
      const { first, last } = range ?? { first: 0, last: sizeBytes - 1 }
      if (range !== undefined && !(first >= 0 && first <= last && last < sizeBytes)) {
        throw new RangeError(`bytes ${first}-${last} of ${digest}, which has ${sizeBytes}`)
      }
      if (Buffer.isBuffer(found)) return one(found.subarray(first, last + 1))
      return blocks.read(digest, sizeBytes, first, last, () => store.reader(digest))
    },

    async commit(id, digest, signal) {
      const result = await store.commit(id, digest, signal)
      // What was read before the store healed the blob may have its size and not its bytes.
      if (result.status === 'committed') drop(digest)
      return result
    },

    async put(digest, bytes) {
      const result = await store.put(digest, bytes)
      looks.drop(digest)
      const known = whole.peek(digest)
      if (!Buffer.isBuffer(known) || !known.equals(bytes)) drop(digest)
      return result
    },

    async quarantine(digest) {
      const moved = await store.quarantine(digest)
      drop(digest)
      return moved
    },

    async delete(digest) {
      await store.delete(digest)
      drop(digest)
    },
  }
}

/** Its bytes are in memory once, however many wait to send them, so there is nothing to cut into pieces. */
// eslint-disable-next-line @typescript-eslint/require-await -- an AsyncIterable of what is at hand
async function* one(bytes: Buffer): Pieces {
  if (bytes.length > 0) yield bytes
}
