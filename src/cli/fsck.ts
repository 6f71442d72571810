import { createHash } from 'node:crypto'
import type { Command } from 'commander'
import { algorithmOf, digestFromHash } from '../oci/digest.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { openInventory } from '../projections/fsck-queries.ts'
import type { StoreInventory } from '../projections/fsck-queries.ts'
import { catalogueGroup } from '../projections/read-models.ts'
import { caughtUp } from './caught-up.ts'
import type { Opened, WithRegistry } from './opened.ts'
import { print } from './output.ts'
import { startProgress } from './progress.ts'

const MIB = 1024 * 1024

export function fsckCommand(program: Command, withRegistry: WithRegistry): void {
  program
    .command('fsck')
    .description('read every blob and compare it with its digest; say what is corrupt, missing (exit code 1) or named by no event')
    .option('--quarantine', 'move corrupt blobs aside, so that the next push brings them anew')
    .action(withRegistry((opened, options: { quarantine?: boolean }) => run(opened, options.quarantine === true)))
}

async function run(opened: Opened, quarantine: boolean): Promise<number> {
  const { pool, log, blobs } = opened
  const inventory = await openInventory(pool)
  try {
    const { sizeBytes } = await inventory.take(blobs.list())
    const corrupt = await findCorrupt(blobs, inventory, sizeBytes, quarantine)
    const head = await log.head()
    if (head === undefined) return corrupt === 0 ? 0 : 1
    const schema = await caughtUp(opened, catalogueGroup, head)
    let missing = 0
    for await (const { repository, digest } of inventory.missing(schema)) {
      // A push may have brought it since the store was listed.
      if ((await blobs.stat(digest)) !== undefined) continue
      missing += 1
      await print(`missing ${repository} ${digest}\n`)
    }
    for await (const { digest } of inventory.unreferenced(schema)) await print(`unreferenced ${digest}\n`)
    return corrupt + missing === 0 ? 0 : 1
  } finally {
    inventory.close()
  }
}

/** Reads every blob and names those whose bytes are not what the digest says; a file that is cut short or too long is one of them. */
async function findCorrupt(blobs: BlobStore, inventory: StoreInventory, sizeBytes: number, quarantine: boolean): Promise<number> {
  const progress = startProgress('blobs', 'MiB')
  let read = 0
  let corrupt = 0
  const onRead = (bytes: number): void => {
    read += bytes
    progress.update(Math.floor(read / MIB), Math.ceil(sizeBytes / MIB))
  }
  try {
    for await (const { digest } of inventory.all()) {
      if (await isWhole(blobs, digest, onRead)) continue
      corrupt += 1
      await print(`corrupt ${digest}\n`)
      if (quarantine) process.stderr.write(`${digest} was moved to ${await blobs.quarantine(digest)}\n`)
    }
    return corrupt
  } finally {
    progress.end()
  }
}

async function isWhole(blobs: BlobStore, digest: Digest, onRead: (bytes: number) => void): Promise<boolean> {
  const algorithm = algorithmOf(digest)
  const hash = createHash(algorithm)
  try {
    const bytes = await blobs.open(digest)
    // It was moved aside since it was listed: then it is missing, where anybody needs it.
    if (bytes === undefined) return true
    for await (const piece of bytes) {
      hash.update(piece)
      onRead(piece.length)
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EIO')) throw error
    process.stderr.write(`${digest} cannot be read: ${error.message}\n`)
    return false
  }
  return digestFromHash(algorithm, hash) === digest
}
