import { randomUUID } from 'node:crypto'
import { existsSync, openSync, closeSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Seeded } from '../support/random.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024
const SECTOR_BYTES = 512

/** How far a Postgres had synced its WAL, and how far it had written it. */
export type WalEnd = { readonly flushed: string; readonly written: string }

/**
 * Leaves of the WAL what a power failure may: all that was synced, and of what comes after any sectors, zeros or another file's bytes.
 * The Postgres must have been stopped when its ends were asked for, or what it synced since would be torn as well.
 */
export function tearWal(dataFolder: string, { flushed, written }: WalEnd, random: Seeded): string {
  const [high = '', low = ''] = flushed.split('/')
  const position = Number.parseInt(low, 16)
  const segment = [1, Number.parseInt(high, 16), Math.floor(position / SEGMENT_BYTES)].map((part) => part.toString(16).padStart(8, '0')).join('').toUpperCase()
  const path = join(dataFolder, 'postgres/pg_wal', segment)
  const unsynced = bytesBetween(flushed, written)
  // At the very start of a segment there may be no file yet.
  if (!existsSync(path)) return `nothing of the log (${segment} is not there)`
  const from = (position % SEGMENT_BYTES) + random.below(unsynced + 1)
  const until = Math.min(SEGMENT_BYTES, from + unsynced + 2 * 8192)
  const file = openSync(path, 'r+')
  for (let at = from; at < until; ) {
    const end = Math.min(until, at - (at % SECTOR_BYTES) + SECTOR_BYTES)
    const kept = at !== from && random.below(3) === 0
    if (!kept) writeSync(file, random.below(2) === 0 ? Buffer.alloc(end - at) : random.bytes(end - at), 0, end - at, at)
    at = end
  }
  closeSync(file)
  return `the log from ${from - (position % SEGMENT_BYTES)} of ${unsynced} unsynced bytes on`
}

function bytesBetween(from: string, to: string): number {
  const numberOf = (lsn: string) => BigInt(`0x${lsn.split('/').map((part) => part.padStart(8, '0')).join('')}`)
  return Number(numberOf(to) - numberOf(from))
}

/** Cuts or garbles the end of each file that is written to before any of it is synced: open uploads, and manifests under a name of their own. */
export function tearUploads(blobFolder: string, random: Seeded): string {
  const folder = join(blobFolder, 'uploads')
  let torn = 0
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const { size, nlink } = statSync(path)
    // One with a second name is a blob, and was synced before it got that.
    if (nlink !== 1 || size === 0) continue
    const from = random.below(size)
    truncateSync(path, from)
    if (random.below(2) === 0) writeFileSync(path, random.bytes(size - from), { flag: 'a' })
    torn += 1
  }
  writeFileSync(join(folder, `put-${randomUUID()}`), random.bytes(random.below(2_000)))
  return `${torn} open uploads`
}

/** A blob's file of which a crash left a part and no event. */
export function plantTornBlob(blobFolder: string, digest: string, bytes: Buffer, random: Seeded): void {
  const [algorithm = '', hex = ''] = digest.split(':')
  writeFileSync(join(blobFolder, 'blobs', algorithm, hex.slice(0, 2), hex), bytes.subarray(0, random.below(bytes.length)), { mode: 0o600 })
}
