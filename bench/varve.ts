import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { connectToRunning } from '../src/storage/postgres/embedded.ts'
import { postgresProcesses } from '../test/support/postgres-processes.ts'
import { startVarve } from '../test/support/server.ts'
import type { Registry, Trail } from './registry.ts'
import { track } from './running.ts'

/** Starts Varve as a user does, with the Postgres that it brings, on a folder of its own. `log`: what its log holds, where that is not in Postgres. */
export async function startOwn(
  env: Readonly<Record<string, string>> = {}, log?: Pick<Trail, 'head' | 'recordedAfter'>,
): Promise<Registry & { readonly trail: Trail }> {
  const server = await startVarve({ env })
  const { dataFolder, authorization } = server
  return track({
    name: 'Varve',
    port: Number(server.host.split(':')[1]),
    folder: dataFolder,
    headers: { Authorization: authorization },
    processes: () => ({ server: [server.pid], database: postgresProcesses(dataFolder) }),
    blobFile: (digest) => join(dataFolder, 'blobs/sha256', digest.slice(7, 9), digest.slice(7)),
    async restart() {
      await server.kill('SIGTERM')
      const started = performance.now()
      await server.restart()
      while ((await fetch(`${server.url}/readyz`)).status !== 200) await sleep(10)
      return (performance.now() - started) / 1000
    },
    stop: () => server.stop(),
    trail: {
      ...(log ?? inPostgres(dataFolder)),
      async lag() {
        const metrics = await (await fetch(`${server.url}/metrics`)).text()
        const lags = [...metrics.matchAll(/^varve_projection_lag_(?:events|bytes)\{.*\} (\d+)$/gm)].map(([, events]) => Number(events))
        // One that cannot be told is not there, and counts as behind.
        return lags.length < 2 ? Infinity : Math.max(...lags)
      },
      async counted() {
        const live = await ask(dataFolder, 'select live as n from varve.read_models')
        return ask(dataFolder, `select coalesce(sum(pulls), 0) as n from rm_${live}.pull_counts`)
      },
    },
  })
}

const inPostgres = (dataFolder: string): Pick<Trail, 'head' | 'recordedAfter'> => ({
  head: () => ask(dataFolder, 'select greatest((select max(pos) from varve_log.state), (select max(pos) from varve_log.activity)) as n'),
  recordedAfter: (position) =>
    ask(
      dataFolder,
      `select coalesce(sum(json_array_length(body::json #> '{data,pulls}')), 0) as n from varve_log.activity
       where pos > ${position} and body::json ->> 'type' = 'PullsRecorded'`,
    ),
})

/** One number, asked of Postgres itself: what Varve's own code says of its pulls is what is to be checked. */
async function ask(dataFolder: string, statement: string): Promise<number> {
  const connection = await connectToRunning(dataFolder)
  if (connection === undefined) throw new Error('Varve\'s Postgres does not run')
  const client = new pg.Client(connection)
  await client.connect()
  try {
    const { rows } = await client.query<{ n: string | number | null }>(statement)
    return Number(rows[0]?.n ?? 0)
  } finally {
    await client.end()
  }
}
