import { Client } from 'pg'
import type { RefusalReason } from '../../../src/commands/activity/events.ts'
import { askingAs, makeUser } from '../../support/asking.ts'
import { askAs, makeProject } from '../../support/doors.ts'
import type { Authorization } from '../../support/doors.ts'
import { insider } from '../../support/insider.ts'
import { testDatabase } from '../../support/postgres.ts'
import { registryClient } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import { until } from '../../support/until.ts'
import { wireClient } from '../../support/wire.ts'

export const SECRET = '/v2/secret/app/manifests/v1'
export const SCOPE = 'repository:secret/app:pull'

/** A refusal as the trail has it. */
export type Refused = {
  readonly parameters: { readonly reason: string; readonly action?: string; readonly count?: number }
  readonly who: { readonly kind: string; readonly id: string; readonly name?: string }
  readonly address?: string
  readonly requestId?: string
}

export type World = Awaited<ReturnType<typeof startWorld>>

/** A registry with the private projects `secret` (where the user `dev` is a developer) and `other`, the public ones `open` and `library`, and the user `eve` without a role. */
export async function startWorld() {
  const database = await testDatabase()
  const { host, port, user, database: name } = database.connection
  const server = await startVarve({ env: { VARVE_POSTGRES_URL: `postgres://${user}@${encodeURIComponent(host)}:${port}/${name}` } })
  const wire = wireClient(server)
  const inside = await insider(database.connection, server)
  for (const each of ['dev', 'eve']) await makeUser(server, each)
  await makeProject(server, 'secret', 'private', { dev: 'developer' })
  await makeProject(server, 'open', 'public')
  await makeProject(server, 'other', 'private')
  const registry = registryClient(server)
  const { digest } = await registry.pushImage('secret/app', 'v1', Buffer.from('secret'))
  await registry.pushImage('open/app', 'v1', Buffer.from('open'))
  await registry.pushImage('library/app', 'v1', Buffer.from('library'))

  const ask = (who: Authorization, method: string, path: string, headers = {}) => askAs(wire, who, method, path, { headers })

  async function refusals(): Promise<readonly Refused[]> {
    const response = await fetch(`${server.url}/api/varve/v1/audit?action=refused&limit=10000`, { headers: { Authorization: server.authorization } })
    return ((await response.json()) as { readonly entries: readonly Refused[] }).entries
  }

  return {
    server,
    admin: askingAs(server),
    inside,
    /** Of the image in `secret`. */
    digest,
    ask,
    status: async (who: Authorization, method = 'GET', path = SECRET): Promise<number> => (await ask(who, method, path)).status,
    /** All refusals that the trail has at this moment. */
    refusals,
    /** What the trail says of a request that was refused, once it does. */
    async refusedFor(requestId: string | null | undefined): Promise<readonly Refused[]> {
      let found: readonly Refused[] = []
      await until(async () => {
        found = (await refusals()).filter((each) => each.requestId === requestId)
        return found.length > 0
      }, `an entry for ${String(requestId)}`)
      return found
    },
    /** Of the reasons of what was tried, once for each time, those that the trail does not give so often. A server that ends writes down what it had only counted. */
    async missing(tried: readonly RefusalReason[]): Promise<RefusalReason[]> {
      await server.restart()
      const recorded = await inside.refusals()
      return [...new Set(tried)].filter((reason) => (recorded.get(reason) ?? 0) < tried.filter((each) => each === reason).length)
    },
    /** The tables, of all that the registry keeps in its database, that hold a text. */
    async tablesWith(text: string): Promise<string[]> {
      const client = new Client(database.connection)
      await client.connect()
      try {
        const { rows } = await client.query<{ table: string }>("select format('%I.%I', schemaname, tablename) as table from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
        const found = []
        for (const { table } of rows) if ((await client.query(`select 1 from ${table} t where strpos(t::text, $1) > 0 limit 1`, [text])).rowCount !== 0) found.push(table)
        return found
      } finally {
        await client.end()
      }
    },
    async stop(): Promise<void> {
      wire.close()
      await inside.close()
      await server.stop()
      await database.drop()
    },
  }
}
