import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { ClientConfig } from 'pg'

/** How often a start looks whether the one before has let go. */
const POLL_MS = 100
/** How often a lock that was lost is taken again. */
const RETRY_MS = 1_000

/** "varve" in ASCII: any constant would do, since the locks of a database are Varve's alone, embedded or not. */
const SERVER_LOCK = (0x76_61_72_76_65).toString()

export type ServerLock = { release(): Promise<void> }

/** Takes the lock that says "a Varve server runs on this Postgres"; it is the session's, and goes with it. False: another holds it. */
export async function lockServer(client: Pick<Client, 'query'>): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [SERVER_LOCK])
  return rows[0]?.locked === true
}

/**
 * The lock that says "a Varve server works on this Postgres", for one that Varve does not run itself. Undefined where another server
 * holds it for longer than `patienceMs`: a killed server's session ends when Postgres notices, a moment later. A connection that
 * breaks is made again and the lock taken again: until then nothing else stops, since the checkpoints of the read models are compared
 * and set, and a second server would stop at the first of them.
 */
export async function takeServerLock(config: ClientConfig, patienceMs: number, log: (line: string) => void): Promise<ServerLock | undefined> {
  let released = false

  async function connect(): Promise<Client | undefined> {
    const client = new Client({ ...config, application_name: 'varve server lock', keepAlive: true })
    // What breaks a connection also ends it, and the end is listened to.
    client.on('error', () => undefined)
    await client.connect()
    if (await lockServer(client)) return client
    await client.end()
    return undefined
  }

  async function takeAgain(): Promise<void> {
    while (!released) {
      try {
        const again = await connect()
        if (again === undefined) log('another Varve server has taken the lock of this Postgres')
        else {
          keep(again)
          return
        }
      } catch (error) {
        log(`the server lock could not be taken again: ${error instanceof Error ? error.message : String(error)}`)
      }
      await sleep(RETRY_MS)
    }
  }

  let held: Client | undefined
  function keep(client: Client): void {
    held = client
    client.once('end', () => {
      if (!released) void takeAgain()
    })
  }

  const deadline = performance.now() + patienceMs
  let first = await connect()
  while (first === undefined && performance.now() < deadline) {
    await sleep(POLL_MS)
    first = await connect()
  }
  if (first === undefined) return undefined
  keep(first)
  return {
    async release() {
      released = true
      await held?.end().catch(() => undefined)
    },
  }
}
