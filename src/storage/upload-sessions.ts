import { LRUCache } from 'lru-cache'
import type { Pool } from 'pg'
import { parseAlgorithm } from '../oci/digest.ts'
import type { UploadId } from '../ports/blob-store.ts'
import type { UploadSession, UploadSessions } from '../ports/upload-sessions.ts'
import type { RepositoryKey } from '../ports/streams.ts'

const MAX_REMEMBERED = 10_000

/**
 * Open uploads in Postgres, those of this process in memory too: what a session says never changes. The pool's commits need not be
 * synced: a session lost in a crash is an upload that the client starts anew.
 */
export async function openUploadSessions(pool: Pool): Promise<UploadSessions> {
  await pool.query(`
    create schema if not exists varve;
    create table if not exists varve.uploads (
      id uuid primary key, repository text collate "C" not null, algorithm text not null, begun_at timestamptz not null default now());`)

  const remembered = new LRUCache<UploadId, UploadSession>({ max: MAX_REMEMBERED })

  return {
    async create(id, session) {
      const { repository, algorithm } = session
      await pool.query({
        name: 'create upload',
        text: 'insert into varve.uploads (id, repository, algorithm) values ($1, $2, $3)',
        values: [id, repository, algorithm],
      })
      remembered.set(id, session)
    },
    async get(id) {
      const known = remembered.get(id)
      if (known !== undefined) return known
      const { rows } = await pool.query<{ repository: RepositoryKey; algorithm: string }>({
        name: 'get upload',
        text: 'select repository, algorithm from varve.uploads where id = $1',
        values: [id],
      })
      const [row] = rows
      const algorithm = parseAlgorithm(row?.algorithm ?? '')
      return row === undefined || algorithm === undefined ? undefined : { repository: row.repository, algorithm }
    },
    async remove(id) {
      remembered.delete(id)
      await pool.query({ name: 'remove upload', text: 'delete from varve.uploads where id = $1', values: [id] })
    },
    async begunBefore(time) {
      const { rows } = await pool.query<{ id: UploadId }>('select id from varve.uploads where begun_at < $1', [time])
      return rows.map((row) => row.id)
    },
  }
}
