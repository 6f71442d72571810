import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Action, Status } from '../eventstoredb/stand-in/control.ts'
import type { Fault } from '../eventstoredb/stand-in/faults.ts'
import { storedEvents } from '../eventstoredb/stored-events.ts'
import type { StoredEvent } from '../eventstoredb/stored-events.ts'
import { afterAll } from './after-all.ts'

const PROGRAM = join(import.meta.dirname, '../eventstoredb/stand-in/main.ts')
const START_MS = 60_000
const STOP_MS = 10_000

export type StandIn = {
  /** For the client: `esdb://127.0.0.1:<port>?tls=false`, or with TLS `esdb://localhost:<port>?tls=true`. */
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly pid: number
  /** Whether its process, which may be frozen, is there. */
  alive(): boolean
  output(): string
  /** Sends a signal and returns: SIGSTOP freezes it, SIGCONT wakes it. */
  signal(name: NodeJS.Signals): void
  /** Sends a signal and waits for the end. */
  kill(name: NodeJS.Signals): Promise<void>
  /** Starts it again, on the same port and folder. */
  restart(args?: readonly string[]): Promise<void>
  /** What a test orders and asks at the door beside that for clients. */
  fault(fault: Fault): Promise<void>
  clearFaults(): Promise<void>
  act(action: Action): Promise<void>
  status(): Promise<Status>
  /** What stands in its files, by a reader of its own. */
  stored(): StoredEvent[]
  /** Ends it, whatever state it is in, and removes its folder. */
  stop(): Promise<void>
}

const running = new Set<StandIn>()
afterAll(async () => {
  for (const standIn of running) await standIn.stop()
})

/** Starts the stand-in for EventStoreDB as a process of its own. Ended after the test file at the latest. */
export async function startStandIn(args: readonly string[] = []): Promise<StandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-eventstoredb-'))
  let output = ''
  let port = 0
  let child = await start(args)

  async function start(more: readonly string[]): Promise<ChildProcess> {
    const options = ['--disable-warning=ExperimentalWarning', PROGRAM, '--port', String(port), '--data', folder, ...more]
    const started = spawn(process.execPath, options, { stdio: ['ignore', 'pipe', 'pipe'] })
    const from = output.length
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        started.kill('SIGKILL')
        reject(new Error(`the stand-in did not start in ${START_MS} ms:\n${output.slice(from)}`))
      }, START_MS)
      const take = (chunk: Buffer): void => {
        output += chunk.toString()
        const listens = /^listening on .*:(\d+)$/m.exec(output.slice(from))?.[1]
        if (listens === undefined) return
        port = Number(listens)
        // With a time in which it is not ready, the test wants just that time.
        if (!more.includes('--ready-after') && !/^ready$/m.test(output.slice(from))) return
        clearTimeout(timer)
        resolve()
      }
      started.stdout.on('data', take)
      started.stderr.on('data', take)
      started.once('exit', (code) => {
        clearTimeout(timer)
        reject(new Error(`the stand-in ended with ${String(code)}:\n${output.slice(from)}`))
      })
    })
    return started
  }

  const alive = (): boolean => child.exitCode === null && child.signalCode === null

  async function kill(name: NodeJS.Signals): Promise<void> {
    if (!alive()) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(name)
    // One that does not end would keep the tests from ending.
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await ended
    clearTimeout(timer)
  }

  async function ask(method: string, path: string, body?: unknown): Promise<Response> {
    const content = body === undefined ? {} : { body: JSON.stringify(body) }
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...content })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return response
  }

  const standIn: StandIn = {
    get url() {
      return args.includes('--tls-cert') ? `esdb://localhost:${port}?tls=true` : `esdb://127.0.0.1:${port}?tls=false`
    },
    get port() {
      return port
    },
    folder,
    get pid() {
      return child.pid ?? 0
    },
    alive,
    output: () => output,
    signal(name) {
      child.kill(name)
    },
    kill,
    async restart(more = args) {
      await kill('SIGTERM')
      child = await start(more)
    },
    async fault(fault) {
      await ask('POST', '/stand-in/faults', fault)
    },
    async clearFaults() {
      await ask('DELETE', '/stand-in/faults')
    },
    async act(action) {
      await ask('POST', '/stand-in/actions', action)
    },
    async status() {
      return (await (await ask('GET', '/stand-in')).json()) as Status
    },
    stored: () => storedEvents(folder),
    async stop() {
      running.delete(standIn)
      await kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
  running.add(standIn)
  return standIn
}
