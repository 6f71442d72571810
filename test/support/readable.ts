import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { connectToRunning } from '../../src/storage/postgres/embedded.ts'

/** Every row of every table that Postgres keeps for a registry that runs on a data folder, as text: what a dump would hold. */
export async function dumpOf(dataFolder: string): Promise<string> {
  return withClient(dataFolder, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
    )
    const dumped: string[] = []
    for (const { name } of tables) dumped.push(...(await client.query<{ line: string }>(`select t::text as line from ${name} t`)).rows.map(({ line }) => `${name} ${line}`))
    return dumped.join('\n')
  })
}

/** The files of a data folder, once what Postgres has in memory is in its files, that hold one of some texts; not those of the write-ahead log. */
export async function filesWith(dataFolder: string, texts: readonly string[]): Promise<string[]> {
  await withClient(dataFolder, (client) => client.query('checkpoint'))
  const entries = await readdir(dataFolder, { recursive: true, withFileTypes: true })
  const found: string[] = []
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || path.includes('/pg_wal/')) continue
    // Postgres removes files meanwhile.
    const bytes = await readFile(path).catch(() => Buffer.alloc(0))
    for (const text of texts) if (bytes.includes(text)) found.push(`${path.slice(dataFolder.length)} holds ${text}`)
  }
  return found
}

async function withClient<T>(dataFolder: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const connection = await connectToRunning(dataFolder)
  if (connection === undefined) throw new Error('no Postgres runs on this folder')
  const client = new pg.Client(connection)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
