import { createHash, randomBytes } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { httpClient } from '../client/http.ts'
import { pushChunked, pushWhole } from '../client/push.ts'
import type { Content } from '../client/push.ts'
import { measureLoad } from '../measure.ts'
import type { Loaded } from '../measure.ts'
import type { Registry } from '../registry.ts'
import { latencyOf } from '../results.ts'
import { REGISTRIES } from '../row.ts'
import type { Row } from '../row.ts'

const PIECE_BYTES = 5_000_000
const UNIQUE_BYTES = 64
const MANY = 100

/** Blobs of one size of which no two are the same: all but the end is shared and hashed once, so that the client only sends. */
function blobsOf(size: number): () => Content {
  let shared: { readonly pieces: readonly Buffer[]; readonly state: ReturnType<typeof createHash> } | undefined
  return () => {
    shared ??= prepare()
    const unique = randomBytes(UNIQUE_BYTES)
    const ending = Buffer.concat([...shared.pieces.slice(-1), unique])
    return { pieces: [...shared.pieces.slice(0, -1), ending], digest: `sha256:${shared.state.copy().update(unique).digest('hex')}` }
  }

  function prepare() {
    const bytes = randomBytes(size - UNIQUE_BYTES)
    const pieces: Buffer[] = []
    for (let from = 0; from < bytes.length; from += PIECE_BYTES) pieces.push(bytes.subarray(from, from + PIECE_BYTES))
    return { pieces, state: createHash('sha256').update(bytes) }
  }
}

const SIZES = [
  { size: '1 MB', next: blobsOf(1_000_000), bytes: 1_000_000, unit: 'pushes/s' },
  { size: '100 MB', next: blobsOf(100_000_000), bytes: 100_000_000, unit: 'MB/s' },
] as const
const WAYS = [
  { way: 'one PUT', push: pushWhole },
  { way: 'chunked', push: pushChunked },
] as const
const CROWDS = [
  { crowd: 'one at a time', pushers: 1 },
  { crowd: 'sixteen at once', pushers: 16 },
] as const
const PLACES = [
  { place: 'one repository', repository: () => 'library/pushed' },
  { place: 'many repositories', repository: (index: number) => `library/pushed-${index % MANY}` },
] as const

export const pushRows: readonly Row[] = SIZES.flatMap(({ size, next, bytes, unit }) =>
  WAYS.flatMap(({ way, push }) =>
    CROWDS.flatMap(({ crowd, pushers }) =>
      PLACES.map(({ place, repository }): Row => ({
        group: 'Pushes',
        name: `push ${size}, ${way}, ${crowd}, ${place}`,
        unit,
        registries: REGISTRIES,
        async measure(registry, seconds) {
          const pushed: string[] = []
          try {
            return await measureLoad(registry, 'none', () => pushFor(registry, seconds))
          } finally {
            // Else five rounds would fill the disk; and what the others did not sync would be written while the next one is measured. The files
            // stay: where many were deleted in the last minutes, ext4 looks at each of them for every one that is made (recently_deleted).
            for (const digest of pushed) await truncate(registry.blobFile(digest))
          }

          async function pushFor({ port, headers }: Registry, seconds: number): Promise<Loaded> {
            const client = httpClient(port, headers)
            const times: number[] = []
            const started = performance.now()
            const end = started + seconds * 1000
            let begun = 0
            await Promise.all(
              Array.from({ length: pushers }, async () => {
                while (performance.now() < end) {
                  const content = next()
                  const before = performance.now()
                  await push(client, repository(begun++), content)
                  times.push(performance.now() - before)
                  pushed.push(content.digest)
                }
              }),
            )
            const took = (performance.now() - started) / 1000
            client.close()
            const rate = times.length / took
            return { value: unit === 'MB/s' ? (rate * bytes) / 1e6 : rate, answered: times.length, failed: 0, latency: latencyOf(times) }
          }
        },
      })),
    ),
  ),
)
