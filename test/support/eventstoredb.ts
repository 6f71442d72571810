import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from './after-all.ts'

const program = join(import.meta.dirname, '../eventstoredb/stand-in/main.ts')
const START_MS = 60_000
const END_MS = 15_000

/** A server that stands in for EventStoreDB, a process of its own, on a free port of the loopback. */
export type StandIn = {
  readonly host: '127.0.0.1'
  readonly port: number
  /** What VARVE_LOG would be. */
  readonly url: string
  /** SIGSTOP and SIGCONT are not waited for, others end it. */
  signal(signal: NodeJS.Signals): Promise<void>
  /** Starts it again, on the same port and data. */
  start(): Promise<void>
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

const running = new Set<StandIn>()
afterAll(async () => {
  for (const each of running) await each.stop()
})

/** Started anew, and ended after the test file at the latest. */
export async function startStandIn(...options: readonly string[]): Promise<StandIn> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-esdb-'))
  let port = 0
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const args = ['--disable-warning=ExperimentalWarning', program, '--port', String(port), '--data', folder, ...options]
    const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    child = started
    let output = ''
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`the stand-in did not start in ${START_MS} ms: ${output}`))
      }, START_MS)
      started.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString()
        const listens = /^listening on .*:(\d+)$/m.exec(output)
        if (listens === null || !/^ready$/m.test(output)) return
        port = Number(listens[1])
        clearTimeout(timer)
        resolve()
      })
      started.once('exit', (code) => {
        clearTimeout(timer)
        reject(new Error(`the stand-in ended with ${String(code)}: ${output}`))
      })
    })
  }

  async function signal(given: NodeJS.Signals): Promise<void> {
    const target = child
    if (target === undefined || target.exitCode !== null || target.signalCode !== null) return
    const ended = new Promise((resolve) => target.once('exit', resolve))
    target.kill(given)
    if (given === 'SIGSTOP' || given === 'SIGCONT') return
    const timer = setTimeout(() => target.kill('SIGKILL'), END_MS)
    await ended
    clearTimeout(timer)
  }

  await start()
  const standIn: StandIn = {
    host: '127.0.0.1',
    get port() {
      return port
    },
    get url() {
      return `esdb://127.0.0.1:${port}?tls=false`
    },
    signal,
    start,
    async stop() {
      running.delete(standIn)
      await signal('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
  running.add(standIn)
  return standIn
}
