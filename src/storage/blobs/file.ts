import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { algorithmOf, digestOf } from '../../oci/digest.ts'
import type { BlobStore } from '../../ports/blob-store.ts'
import { syncFolder, writeSynced } from '../durable.ts'
import { openBlobFiles } from './blob-files.ts'
import { sizeOf } from './maybe-there.ts'
import { createSpaceCheck } from './space.ts'
import { openUploadFiles } from './upload-files.ts'
import { isFull } from './upload-writer.ts'

/**
 * Blobs as files in one folder, on one file system: an upload that is committed gets a second name (a hard link) as its blob, and loses
 * its first.
 */
export async function openFileBlobStore(options: {
  readonly folder: string
  /** Free space that uploads leave alone. */
  readonly minFreeBytes: number
}): Promise<BlobStore> {
  const { folder, minFreeBytes } = options
  const hasSpace = createSpaceCheck(folder, minFreeBytes)
  const blobs = await openBlobFiles(folder)
  const uploads = await openUploadFiles(folder, hasSpace, blobs.place)
  await syncFolder(folder)

  return {
    ...blobs,
    ...uploads,

    async put(digest, bytes) {
      if (digestOf(algorithmOf(digest), bytes) !== digest) throw new Error(`these bytes are not ${digest}`)
      const target = blobs.pathOf(digest)
      if ((await sizeOf(target)) === bytes.length) {
        // Whoever stores it at this moment may not have got this far.
        await syncFolder(dirname(target))
        return 'stored'
      }
      if (!(await hasSpace())) return 'no-space'
      const temporary = uploads.temporaryPath()
      try {
        await writeSynced(temporary, bytes)
        await syncFolder(await blobs.place(temporary, digest, bytes.length))
        return 'stored'
      } catch (error) {
        if (isFull(error)) return 'no-space'
        throw error
      } finally {
        await rm(temporary, { force: true })
      }
    },
  }
}
