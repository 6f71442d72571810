import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from './after-all.ts'
import { endChild, isAlive, startChild } from './child.ts'
import { LIVE_URL, inSpace, newSpace } from './spaces.ts'

const root = join(import.meta.dirname, '../..')
/** The Node that runs the tests is the one that `npm start` would take. */
const node = process.execPath
const START_MS = 120_000
const STOP_MS = 60_000
const PASSWORD = 'an-admin-for-tests'

export type Finished = { readonly stdout: string; readonly stderr: string; readonly code: number | null }

export type VarveServer = {
  readonly url: string
  /** `127.0.0.1:<port>`, as image names begin. */
  readonly host: string
  readonly user: 'admin'
  readonly password: string
  /** The value of an Authorization header. */
  readonly authorization: string
  readonly dataFolder: string
  readonly pid: number
  /** Whether its process, which may be stopped, is there. */
  alive(): boolean
  /** What the server wrote so far. */
  output(): string
  /** Runs `varve …` on the same data folder. */
  varve(...args: string[]): Promise<Finished>
  /** Sends a signal to the server and waits for its end. Its Postgres is left to itself where the signal leaves it no time. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts it again, on the same port and data folder; `env` is set from then on. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>
  /** Ends everything and removes the data folder. */
  stop(): Promise<void>
}

export type ServerOptions = {
  readonly env?: Readonly<Record<string, string>>
  /** Instead of a temporary one. */
  readonly dataFolder?: string
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
  /** Put before the command, such as `strace -f …`. */
  readonly wrapper?: readonly string[]
}

const running = new Set<VarveServer>()
afterAll(async () => {
  for (const server of running) await server.stop()
})

/** Starts `varve serve` as a process of its own, as a user does, on a free port of the loopback. Ended after the test file at the latest. */
export async function startVarve(options: ServerOptions = {}): Promise<VarveServer> {
  const dataFolder = options.dataFolder ?? (await mkdtemp(join(tmpdir(), 'varve-server-')))
  const host = `127.0.0.1:${await freePort()}`
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VARVE_') && name !== 'NODE_OPTIONS')),
    VARVE_DATA: dataFolder,
    VARVE_LISTEN: host,
    VARVE_ADMIN_PASSWORD: PASSWORD,
    ...(LIVE_URL === undefined || options.env?.['VARVE_POSTGRES_URL'] !== undefined ? {} : { VARVE_LOG: inSpace(LIVE_URL, newSpace()) }),
    ...(options.tls === undefined ? {} : { VARVE_TLS_CERT: options.tls.certFile, VARVE_TLS_KEY: options.tls.keyFile }),
    ...options.env,
  }
  const command = [node, '--disable-warning=ExperimentalWarning', join(root, 'src/main.ts')]
  let output = ''
  const start = (): Promise<ChildProcess> =>
    startChild({
      name: 'Varve',
      command: [...(options.wrapper ?? []), ...command, 'serve'],
      env,
      withinMs: START_MS,
      isReady: (text) => /^Varve .* serves /m.test(text),
      onOutput: (text) => {
        output += text
      },
    })
  let child = await start()
  const end = (signal: NodeJS.Signals): Promise<void> => endChild(child, signal, STOP_MS)

  const server: VarveServer = {
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}`,
    host,
    user: 'admin',
    password: PASSWORD,
    authorization: `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}`,
    dataFolder,
    get pid() {
      return child.pid ?? 0
    },
    alive: () => isAlive(child),
    output: () => output,
    varve: (...args) => finish(command, args, env),
    kill: end,
    async restart(more = {}) {
      await end('SIGTERM')
      Object.assign(env, more)
      child = await start()
    },
    async stop() {
      running.delete(server)
      await end('SIGTERM')
      await endOrphan(dataFolder)
      await rm(dataFolder, { recursive: true, force: true })
    },
  }
  running.add(server)
  return server
}

/** A server that was killed leaves its Postgres behind for the next start to adopt; after the last one nobody would. */
async function endOrphan(dataFolder: string): Promise<void> {
  const { connectToRunning, startEmbeddedPostgres } = await import('../../src/storage/postgres/embedded.ts')
  if ((await connectToRunning(dataFolder)) === undefined) return
  const orphan = await startEmbeddedPostgres({ dataFolder })
  await orphan.stop()
}

/** Runs `varve …` with only these variables, where there is no server. */
export function runVarve(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Finished> {
  return finish([node, '--disable-warning=ExperimentalWarning', join(root, 'src/main.ts')], args, env)
}

async function finish(command: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv): Promise<Finished> {
  const [program = '', ...rest] = [...command, ...args]
  const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { stdout, stderr, code }
}

/** A port of the loopback that is free at this moment. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
