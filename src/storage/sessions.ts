import type { Pool } from 'pg'
import type { SessionStore } from '../ports/session-store.ts'

/**
 * Sessions of browsers in Postgres. The pool's commits need not be synced: one that a crash takes is a login that is made anew. That one
 * was ended is synced, or a log-out could be undone.
 */
export async function openSessionStore(pool: Pool): Promise<SessionStore> {
  await pool.query(`
    create schema if not exists varve;
    create table if not exists varve.sessions (
      key text collate "C" primary key, account text not null, credential text not null, begun_at timestamptz not null, ends_at timestamptz not null);
    create index if not exists sessions_ends_at on varve.sessions (ends_at);`)

  return {
    async create(key, { user, credential, begunAt, endsAt }) {
      await pool.query({
        name: 'create session',
        text: 'insert into varve.sessions (key, account, credential, begun_at, ends_at) values ($1, $2, $3, $4, $5)',
        values: [key, user, credential, begunAt, endsAt],
      })
    },
    async get(key) {
      const { rows } = await pool.query<{ user: string; credential: string; begunAt: Date; endsAt: Date }>({
        name: 'get session',
        text: 'select account as "user", credential, begun_at as "begunAt", ends_at as "endsAt" from varve.sessions where key = $1',
        values: [key],
      })
      return rows[0]
    },
    async remove(key) {
      await pool.query({
        name: 'remove session',
        text: "delete from varve.sessions where key = $1 and set_config('synchronous_commit', 'on', true) = 'on'",
        values: [key],
      })
    },
    async removeEndedBefore(time) {
      await pool.query('delete from varve.sessions where ends_at < $1', [time])
    },
  }
}
