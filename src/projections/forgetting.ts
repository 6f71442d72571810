import type { Pool } from 'pg'
import { groups, tablesOf } from './read-models.ts'

/** How long it waits for those who read a table that is to be written anew: meanwhile others wait behind it. */
const LOCK_PATIENCE = '5s'

/**
 * Writes the tables anew that say things of people, so that what was blanked stands in no file of theirs or of their indexes any more:
 * a vacuum alone leaves the bytes of dead rows where they were. And what the planner has noted of them, as far as it may be.
 */
export async function wipe(pool: Pool, schema: string): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query(`set lock_timeout = '${LOCK_PATIENCE}'`)
    for (const table of groups.flatMap(tablesOf)) if (table.personal === true) await client.query(`vacuum (full, analyze) ${schema}.${table.name}`)
    // Who does not own it is warned, and it is left as it is: a later vacuum of the server's takes it.
    await client.query('vacuum (full) pg_catalog.pg_statistic')
  } finally {
    // With its session goes what was set.
    client.release(true)
  }
}
