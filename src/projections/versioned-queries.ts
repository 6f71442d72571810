import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { REQUEST_PATIENCE_MS } from '../ports/patience.ts'
import { isPassing } from './passing.ts'
import { isVersionGone } from './read-models.ts'

const RETRY_MS = 100

/** Puts a query to the version of the read models that is shown; `text` is given its schema, and a statement with a name is prepared once. */
export type Rows = <R extends object>(name: string | undefined, text: (schema: string) => string, values: readonly unknown[]) => Promise<R[]>

export function createRows(pool: Pool, shown: () => string): Rows {
  /** A version may be dropped while a query is on its way to it: the query is then put to the one that is shown instead. */
  return async <R extends object>(name: string | undefined, text: (schema: string) => string, values: readonly unknown[]) =>
    patiently(async () => {
      const schema = shown()
      return (await pool.query<R>({ ...(name === undefined ? {} : { name: `${schema} ${name}` }), text: text(schema), values: [...values] })).rows
    })
}

/** Tries again, for as long as a request waits, where Postgres is away or a version of the read models is gone. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + REQUEST_PATIENCE_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(isPassing(error) || isVersionGone(error)) || performance.now() > deadline) throw error
      await sleep(RETRY_MS)
    }
  }
}
