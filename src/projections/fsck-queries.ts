import type { Pool } from 'pg'
import type { Digest } from '../oci/digest.ts'
import type { BlobStat } from '../ports/blob-store.ts'

const PAGE = 1_000

/** A digest that a repository needs, by the repository's name. */
export type NeededRow = { readonly repository: string; readonly digest: Digest }

export type StoreInventory = Awaited<ReturnType<typeof openInventory>>

/**
 * What the store has, in a temporary table of one session, to be compared with what the catalogue names: neither list has to fit
 * into memory. Lists are cursors that outlive their statement, so no transaction stays open while files are read.
 */
export async function openInventory(pool: Pool) {
  const client = await pool.connect()
  let cursors = 0

  async function* pages<R extends object>(text: string): AsyncGenerator<R> {
    const name = `list_${(cursors += 1)}`
    await client.query(`declare ${name} no scroll cursor with hold for ${text}`)
    for (;;) {
      const { rows } = await client.query<R>(`fetch ${PAGE} from ${name}`)
      yield* rows
      if (rows.length < PAGE) break
    }
    await client.query(`close ${name}`)
  }

  await client.query('create temporary table found (digest text collate "C" primary key, size bigint not null)')

  return {
    /** Puts down what there is. */
    async take(blobs: AsyncIterable<BlobStat>): Promise<{ readonly sizeBytes: number }> {
      let batch: BlobStat[] = []
      let sizeBytes = 0
      const write = async (): Promise<void> => {
        await client.query('insert into found (digest, size) select * from unnest($1::text[], $2::bigint[]) on conflict do nothing', [
          batch.map((each) => each.digest),
          batch.map((each) => each.sizeBytes),
        ])
        batch = []
      }
      for await (const blob of blobs) {
        batch.push(blob)
        sizeBytes += blob.sizeBytes
        if (batch.length === PAGE) await write()
      }
      await write()
      await client.query('analyze found')
      return { sizeBytes }
    },

    all(): AsyncIterable<{ readonly digest: Digest }> {
      return pages<{ digest: Digest }>('select digest from found order by digest')
    },

    /** What repositories need and the store has not: bytes of live manifests, and blobs that they hold. What they never held is not needed. */
    missing(schema: string): AsyncIterable<NeededRow> {
      return pages<NeededRow>(
        `select coalesce(p.name, split_part(needed.repository, '/', 1)) || substr(needed.repository, 37) as repository, needed.digest
         from (select repository, digest from ${schema}.manifests where live union select repository, digest from ${schema}.blobs where linked) needed
         left join ${schema}.projects p on p.id = split_part(needed.repository, '/', 1)
         where not exists (select from found where found.digest = needed.digest)
         order by repository, digest`,
      )
    },

    /** What the store has and no event ever named. */
    unreferenced(schema: string): AsyncIterable<{ readonly digest: Digest }> {
      return pages<{ digest: Digest }>(
        `select digest from found
         where not exists (select from ${schema}.manifests m where m.digest = found.digest)
           and not exists (select from ${schema}.blobs b where b.digest = found.digest)
         order by digest`,
      )
    },

    /** Ends the session, and with it the table. */
    close(): void {
      client.release(true)
    },
  }
}
