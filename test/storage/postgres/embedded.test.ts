import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Client } from 'pg'
import type { Connection, EmbeddedOptions, EmbeddedPostgres } from '../../../src/storage/postgres/embedded.ts'
import { AlreadyRunningError, connectToRunning, startEmbeddedPostgres } from '../../../src/storage/postgres/embedded.ts'
import { lockServer } from '../../../src/storage/postgres/server-lock.ts'

let folder: string
let open: EmbeddedPostgres[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-embedded-'))
  open = []
})

afterEach(async () => {
  for (const postgres of open) await postgres.stop()
  await rm(folder, { recursive: true, force: true })
})

const start = async (options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedPostgres> => {
  const postgres = await startEmbeddedPostgres({ dataFolder: folder, ...options })
  open.push(postgres)
  return postgres
}

const query = async (at: Connection, text: string): Promise<unknown[][]> => {
  const client = new Client(at)
  // A server that crashes breaks it between two messages; the query tells.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Another Node process that starts the folder's Postgres and stays, as a server would. */
const startElsewhere = async (): Promise<{ readonly postgresPid: number; kill(): Promise<void> }> => {
  const module = new URL('../../../src/storage/postgres/embedded.ts', import.meta.url).href
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { startEmbeddedPostgres } from ${JSON.stringify(module)}
       const postgres = await startEmbeddedPostgres({ dataFolder: process.argv[1] })
       console.log(postgres.pid)
       setInterval(() => undefined, 1000)`,
      folder,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  for await (const line of createInterface(child.stdout)) {
    return {
      postgresPid: Number(line),
      kill: async () => {
        child.kill('SIGKILL')
        await once(child, 'exit')
      },
    }
  }
  throw new Error('the other process ended without starting Postgres')
}

const until = async (condition: () => Promise<boolean> | boolean): Promise<void> => {
  const deadline = Date.now() + 30_000
  while (Date.now() < deadline) {
    if (await condition()) return
    await delay(50)
  }
  throw new Error('waited 30 s in vain')
}

describe('a Postgres of our own', () => {
  test('makes its cluster at the first start and keeps its rows over a restart', async () => {
    const first = await start()
    await query(first.connection, 'create table kept as select 7 as seven')
    await first.stop()
    expect(lives(first.pid)).toBe(false)
    expect(await connectToRunning(folder)).toBeUndefined()
    await expect(stat(first.connection.host)).rejects.toThrow('ENOENT')

    const second = await start()
    expect(await query(second.connection, 'select seven from kept')).toEqual([[7]])
    expect((await readdir(folder)).sort()).toEqual(['postgres', 'postgres.log', 'postgres.log.1'])
  })

  test('flushes and listens as it must, whatever postgresql.conf says', async () => {
    const first = await start()
    for (const name of ['fsync', 'full_page_writes', 'synchronous_commit']) await query(first.connection, `alter system set ${name} = off`)
    await query(first.connection, "alter system set listen_addresses = '*'")
    await first.stop()
    const { connection } = await start()
    expect(
      await query(
        connection,
        `select name, setting from pg_settings
         where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses', 'server_encoding', 'data_checksums', 'TimeZone')
         order by name collate "C"`,
      ),
    ).toEqual([
      ['TimeZone', 'UTC'],
      ['data_checksums', 'on'],
      ['fsync', 'on'],
      ['full_page_writes', 'on'],
      ['listen_addresses', ''],
      ['server_encoding', 'UTF8'],
      ['synchronous_commit', 'on'],
    ])
    expect(await query(connection, "select datcollate, datctype from pg_database where datname = 'varve'")).toEqual([['C', 'C']])
  })

  test('its socket stands in a short folder that only its owner can enter', async () => {
    const { connection } = await start()
    expect((await stat(connection.host)).mode & 0o777).toBe(0o700)
    expect(Buffer.byteLength(join(connection.host, '.s.PGSQL.5432.lock'))).toBeLessThan(107)
    expect((await stat(folder)).mode & 0o077).toBe(0)
  })

  test('commands find it beside the running server', async () => {
    expect(await connectToRunning(folder)).toBeUndefined()
    const { connection } = await start()
    expect(await connectToRunning(folder)).toEqual(connection)
  })

  test('adopts the Postgres that a killed server left, and ends it in the end', async () => {
    const other = await startElsewhere()
    await other.kill()
    expect(lives(other.postgresPid)).toBe(true)

    const postgres = await start()
    expect(postgres.pid).toBe(other.postgresPid)
    await postgres.stop()
    expect(await connectToRunning(folder)).toBeUndefined()
    await expect(stat(postgres.connection.host)).rejects.toThrow('ENOENT')
  })

  test('refuses a folder on which another server runs, and leaves that one alone', async () => {
    const other = await startElsewhere()
    await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toThrow(AlreadyRunningError)
    await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toThrow('another Varve server is running')
    expect(lives(other.postgresPid)).toBe(true)
    await other.kill()
    expect((await start()).pid).toBe(other.postgresPid)
  })

  test('of two that start at the same moment on a fresh folder, one wins and one is told', async () => {
    const outcomes = await Promise.allSettled([start(), start(), start()])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(AlreadyRunningError)
  })

  test('holds the server lock for as long as it runs, also after a backend has crashed', async () => {
    const postgres = await start()
    const client = new Client(postgres.connection)
    client.on('error', () => undefined)
    await client.connect()
    expect(await lockServer(client)).toBe(false)
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    const holders = () => query(postgres.connection, "select pid from pg_locks where locktype = 'advisory' and granted")
    const [before] = await holders()
    process.kill(rows[0]?.pid ?? 0, 'SIGKILL')
    await until(async () => {
      try {
        const [after, ...others] = await holders()
        // The one from before stands there until the crash of its neighbour is noticed.
        return after !== undefined && others.length === 0 && after[0] !== before?.[0]
      } catch {
        return false
      }
    })
    await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toThrow(AlreadyRunningError)
  })

  test('is started again in the same place after it was killed, with what was committed', async () => {
    const lines: string[] = []
    const postgres = await start({ keepRunning: true, log: (line) => void lines.push(line) })
    await query(postgres.connection, 'create table kept as select 7 as seven')
    for (let round = 1; round <= 2; round += 1) {
      const killed = postgres.pid
      process.kill(killed, 'SIGKILL')
      await until(() => postgres.pid !== killed)
      expect(await query(postgres.connection, 'select seven from kept')).toEqual([[7]])
      expect(lines.filter((line) => line.endsWith('ended by itself: signal SIGKILL'))).toHaveLength(round)
      await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toThrow(AlreadyRunningError)
    }
  })

  test('an adopted one is started again as well', async () => {
    const other = await startElsewhere()
    await other.kill()
    const postgres = await start({ keepRunning: true })
    process.kill(other.postgresPid, 'SIGKILL')
    await until(() => postgres.pid !== other.postgresPid)
    expect(await query(postgres.connection, 'select 1')).toEqual([[1]])
  })

  test('says that it died, and stays down, where nobody asked to keep it running', async () => {
    const lines: string[] = []
    const postgres = await start({ log: (line) => void lines.push(line) })
    const { pid } = postgres
    process.kill(pid, 'SIGKILL')
    await until(() => lines.includes(`Postgres (process ${pid}) ended by itself: signal SIGKILL`))
    await postgres.stop()
  })

  test('stop in the middle of a start again leaves nothing running', async () => {
    const postgres = await start({ keepRunning: true })
    const killed = postgres.pid
    process.kill(killed, 'SIGKILL')
    await until(() => !lives(killed))
    await delay(20)
    await postgres.stop()
    expect(lives(postgres.pid)).toBe(false)
    expect(await connectToRunning(folder)).toBeUndefined()
  })

  test('starts over a killed postmaster whose pid went to another program', async () => {
    const first = await start()
    process.kill(first.pid, 'SIGKILL')
    await first.stop()
    const pidFile = join(folder, 'postgres/postmaster.pid')
    const left = (await readFile(pidFile, 'utf8')).split('\n').slice(1)
    const stranger = spawn('sleep', ['600'])
    try {
      await writeFile(pidFile, [String(stranger.pid), ...left].join('\n'))
      expect(await connectToRunning(folder)).toBeUndefined()
      expect((await start()).pid).not.toBe(stranger.pid)
      expect(lives(stranger.pid ?? 0)).toBe(true)
    } finally {
      stranger.kill()
    }
  })

  test('a crash in the middle of initdb, or of a start, leaves nothing in the way', async () => {
    await mkdir(join(folder, 'postgres.new-crashed'))
    await writeFile(join(folder, 'postgres.new-crashed/PG_VERSION'), '18\n')
    await writeFile(join(folder, 'starting.lock'), JSON.stringify({ pid: process.pid, started: 'another process that had this pid' }))
    await start()
    expect((await readdir(folder)).sort()).toEqual(['postgres', 'postgres.log'])
  })

  test('refuses a cluster of another major version by name', async () => {
    await mkdir(join(folder, 'postgres'))
    await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toThrow('holds no PostgreSQL cluster')
    await writeFile(join(folder, 'postgres/PG_VERSION'), '17\n')
    await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toThrow('made by PostgreSQL 17, and this Varve brings PostgreSQL 18')
  })
})
