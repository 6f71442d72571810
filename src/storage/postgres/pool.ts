import pg from 'pg'
import { CONNECT_TIMEOUT_MS } from './connection.ts'

/**
 * A pool that outlives its Postgres. A connection that breaks between two queries tells only its `error` event, which would end the
 * process if nobody listened; the next query on it reports what it meets, and the pool replaces it.
 */
export function createPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ connectionTimeoutMillis: CONNECT_TIMEOUT_MS, ...config })
  const broken = (): void => undefined
  pool.on('error', broken)
  pool.on('connect', (client) => {
    client.on('error', broken)
  })
  return pool
}
