import { randomUUID } from 'node:crypto'
import { lstat, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ignoring } from '../durable.ts'
import type { Binaries } from './binaries.ts'
import { USER } from './connection.ts'
import { explain, identityFor, ids, withoutProgram, wrapped } from './identity.ts'
import { run } from './processes.ts'

/** Makes the cluster beside its place and moves it there when it is whole, so that a crash leaves none or all of it. */
export async function initialise(folder: string, cluster: string, binaries: Binaries, log: (line: string) => void): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith('postgres.new-')) await rm(join(folder, name), { recursive: true, force: true })
  }
  const made = await ignoring(['ENOENT'], readFile(join(cluster, 'PG_VERSION'), 'utf8'))
  if (made !== undefined) {
    if (made.trim() === binaries.major) return
    throw new Error(
      `${cluster} was made by PostgreSQL ${made.trim()}, and this Varve brings PostgreSQL ${binaries.major}: start the Varve that made ` +
        'it, dump its database (pg_dump), restore that into a Postgres of your own, and name that one in VARVE_POSTGRES_URL',
    )
  }
  if ((await ignoring(['ENOENT'], lstat(cluster))) !== undefined) {
    throw new Error(`${cluster} exists but holds no PostgreSQL cluster (no PG_VERSION): move it away, or bring its content back`)
  }
  log(`making a PostgreSQL ${binaries.major} cluster in ${cluster}`)
  const fresh = join(folder, `postgres.new-${randomUUID()}`)
  const identity = await identityFor(folder)
  const [program, parameters] = wrapped(identity, binaries.initdb, [
    '-D', fresh, '-U', USER, '--locale=C', '--encoding=UTF8', '--auth=trust', '--no-instructions',
  ])
  const outcome = await run(program, parameters, { ...ids(identity), cwd: folder }).catch((error: unknown) => {
    throw withoutProgram(program, error)
  })
  if (outcome.code !== 0) {
    await rm(fresh, { recursive: true, force: true })
    throw new Error(`initdb failed: ${explain(outcome.output)}`)
  }
  await rename(fresh, cluster)
  await using handle = await open(folder)
  await handle.sync()
}
