import { randomUUID } from 'node:crypto'
import { constants, link, mkdir, opendir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { algorithmOf, hexOf, parseDigest } from '../../oci/digest.ts'
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import type { BlobStat, BlobStore } from '../../ports/blob-store.ts'
import { FANOUT, hasCode, ignoring, makeFanout, syncFolder } from '../durable.ts'
import { openFile, removed, sizeOf } from './maybe-there.ts'
import { fill, readPath } from './reading.ts'

const ALGORITHMS: readonly DigestAlgorithm[] = ['sha256', 'sha512']

export type BlobFiles = Pick<BlobStore, 'stat' | 'open' | 'reader' | 'read' | 'list' | 'quarantine' | 'delete'> & {
  /** Where a blob's file is, if it is. */
  readonly pathOf: (digest: Digest) => string
  /**
   * Gives a synced file its blob's name, which is durable once the folder that is answered is synced. What is there already is used
   * as it is, since somebody may be reading it, unless its size shows that it is not the blob.
   */
  readonly place: (path: string, digest: Digest, size: number) => Promise<string>
}

/**
 * Blobs that are whole: `blobs/<algorithm>/<2 hex>/<hex>`, and those that were found corrupt, in `quarantine/`. A blob's file appears
 * under its name whole and synced, and is never written again.
 */
export async function openBlobFiles(root: string): Promise<BlobFiles> {
  const blobs = join(root, 'blobs')
  const quarantine = join(root, 'quarantine')
  await Promise.all([blobs, quarantine].map((path) => mkdir(path, { recursive: true })))
  for (const algorithm of ALGORITHMS) await makeFanout(join(blobs, algorithm))

  const pathOf = (digest: Digest) => join(blobs, algorithmOf(digest), hexOf(digest).slice(0, 2), hexOf(digest))

  return {
    pathOf,

    async place(path, digest, size) {
      const target = pathOf(digest)
      try {
        await link(path, target)
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error
        if ((await sizeOf(target)) !== size) await rename(path, target)
      }
      return dirname(target)
    },

    async stat(digest) {
      const sizeBytes = await sizeOf(pathOf(digest))
      return sizeBytes === undefined ? undefined : { digest, sizeBytes }
    },

    async open(digest, range) {
      const path = pathOf(digest)
      const size = await sizeOf(path)
      if (size === undefined) return undefined
      const { first, last } = range ?? { first: 0, last: size - 1 }
      if (range !== undefined && !(first >= 0 && first <= last && last < size)) {
        throw new RangeError(`bytes ${first}-${last} of ${digest}, which has ${size}`)
      }
      return readPath(path, first, last + 1)
    },

    async reader(digest) {
      const file = await openFile(pathOf(digest), constants.O_RDONLY)
      if (file === undefined) return undefined
      return {
        read: (first, memory) => fill(memory, file, first),
        close: () => file.close(),
      }
    },

    read: (digest) => ignoring(['ENOENT'], readFile(pathOf(digest))),

    async *list(): AsyncGenerator<BlobStat> {
      for (const algorithm of ALGORITHMS) {
        for (const fan of FANOUT) {
          const folder = join(blobs, algorithm, fan)
          for await (const { name } of await opendir(folder)) {
            const digest = parseDigest(`${algorithm}:${name}`)
            const sizeBytes = digest && (await sizeOf(join(folder, name)))
            if (digest !== undefined && sizeBytes !== undefined) yield { digest, sizeBytes }
          }
        }
      }
    },

    async quarantine(digest) {
      // One digest may be found corrupt more than once.
      const target = join(quarantine, `${algorithmOf(digest)}-${hexOf(digest)}.${randomUUID()}`)
      await rename(pathOf(digest), target)
      await syncFolder(quarantine)
      await syncFolder(dirname(pathOf(digest)))
      return target
    },

    async delete(digest) {
      if (await removed(pathOf(digest))) await syncFolder(dirname(pathOf(digest)))
    },
  }
}
