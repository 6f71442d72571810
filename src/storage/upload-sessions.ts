import type { Pool } from 'pg'
import { parseAlgorithm } from '../oci/digest.ts'
import type { UploadId } from '../ports/blob-store.ts'
import type { UploadSessions } from '../ports/upload-sessions.ts'
import type { RepositoryKey } from '../ports/streams.ts'

/** Open uploads in Postgres. Not synced: a session lost in a crash is an upload that the client starts anew. */
export async function openUploadSessions(pool: Pool): Promise<UploadSessions> {
  await pool.query(`
    create schema if not exists varve;
    create table if not exists varve.uploads (
      id uuid primary key, repository text collate "C" not null, algorithm text not null, begun_at timestamptz not null default now());`)

  return {
    async create(id, { repository, algorithm }) {
      await pool.query({
        name: 'create upload',
        text: 'insert into varve.uploads (id, repository, algorithm) values ($1, $2, $3)',
        values: [id, repository, algorithm],
      })
    },
    async get(id) {
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
      await pool.query({ name: 'remove upload', text: 'delete from varve.uploads where id = $1', values: [id] })
    },
    async begunBefore(time) {
      const { rows } = await pool.query<{ id: UploadId }>('select id from varve.uploads where begun_at < $1', [time])
      return rows.map((row) => row.id)
    },
  }
}
