import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Action, Status } from '../eventstoredb/stand-in/control.ts'
import type { Fault } from '../eventstoredb/stand-in/faults.ts'
import { storedEvents } from '../eventstoredb/stored-events.ts'
import type { StoredEvent } from '../eventstoredb/stored-events.ts'
import { afterAll } from './after-all.ts'
import { endChild, isAlive, startChild } from './child.ts'
import { freePort } from './server.ts'
import { LIVE_URL } from './spaces.ts'

const PROGRAM = join(import.meta.dirname, '../eventstoredb/stand-in/main.ts')
const START_MS = 60_000
/** So often at most a cluster's node is started until it is ready. */
const MAX_STARTS = 5
const STOP_MS = 10_000
const ASK_MS = 10_000

/** A process of the stand-in for EventStoreDB: a server alone, or one of a cluster. */
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
  /** Sends a signal, waits for the end, and starts it again after so long. */
  endFor(name: NodeJS.Signals, ms: number): Promise<void>
  /** Freezes it for so long. */
  freezeFor(ms: number): Promise<void>
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

export type StandInCluster = {
  /** For the client: all nodes. */
  readonly url: string
  readonly folder: string
  readonly nodes: readonly StandIn[]
  /** The node that leads, as soon as one does. */
  leader(): Promise<StandIn>
  /** What stands in the files that the nodes share, by a reader of its own. */
  stored(): StoredEvent[]
  stop(): Promise<void>
}

const running = new Set<{ stop(): Promise<void> }>()
afterAll(async () => {
  for (const each of running) await each.stop()
})

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'varve-eventstoredb-'))

/** Starts a server alone, as a process of its own. Ended after the test file at the latest. */
export async function startStandIn(args: readonly string[] = []): Promise<StandIn> {
  const folder = await newFolder()
  const standIn = await startProcess({ folder, port: 0, args, isSupervised: false }, async () => {
    running.delete(standIn)
    await standIn.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  running.add(standIn)
  return standIn
}

/** The server of the user's own, where one is given, or a stand-in. */
export async function reachEventStore(): Promise<{ readonly url: string; readonly standIn: StandIn | undefined }> {
  const standIn = LIVE_URL === undefined ? await startStandIn() : undefined
  return { url: LIVE_URL ?? standIn?.url ?? '', standIn }
}

/** Starts a cluster of three; a node that ends by itself is started again. Ended after the test file at the latest. */
export async function startStandInCluster(args: readonly string[] = []): Promise<StandInCluster> {
  const folder = await newFolder()
  const isSecure = args.includes('--tls-cert')
  const host = isSecure ? 'localhost' : '127.0.0.1'
  const ports = [await freePort(), await freePort(), await freePort()]
  const addresses = ports.map((port) => `${host}:${port}`).join(',')
  const own = [...args, '--cluster', addresses, '--advertise', host]
  const nodes = await Promise.all(ports.map((port) => startProcess({ folder, port, args: own, isSupervised: true }, () => cluster.stop())))
  const cluster: StandInCluster = {
    url: `esdb://${addresses}?tls=${isSecure}`,
    folder,
    nodes,
    async leader() {
      const end = Date.now() + START_MS
      for (;;) {
        const states = await Promise.all(nodes.map((node) => node.status().then(({ state }) => state, () => 'away')))
        const leader = nodes[states.indexOf('leader')]
        if (leader !== undefined) return leader
        if (Date.now() > end) throw new Error(`no node leads: ${states.join(', ')}`)
        await sleep(50)
      }
    },
    stored: () => storedEvents(folder),
    async stop() {
      running.delete(cluster)
      await Promise.all(nodes.map((node) => node.kill('SIGKILL')))
      await rm(folder, { recursive: true, force: true })
    },
  }
  running.add(cluster)
  return cluster
}

type ProcessOptions = {
  readonly folder: string
  /** 0: one that is free; it stays the same over restarts. */
  readonly port: number
  readonly args: readonly string[]
  /** Started again when it ends with 0 and nobody ended it, as a deposed leader does. */
  readonly isSupervised: boolean
}

async function startProcess({ folder, args, isSupervised, ...options }: ProcessOptions, stop: () => Promise<void>): Promise<StandIn> {
  let output = ''
  let { port } = options
  let isEnding = false
  /** Under way where it ended by itself. */
  let startingAgain = Promise.resolve()
  let child = await start(args)

  async function start(more: readonly string[]): Promise<ChildProcess> {
    isEnding = false
    const started = await startPatiently({
      name: 'the stand-in',
      command: [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM, '--port', String(port), '--data', folder, ...more],
      withinMs: START_MS,
      isReady(text) {
        const listens = /^listening on .*:(\d+)$/m.exec(text)?.[1]
        if (listens === undefined) return false
        port = Number(listens)
        // With a time in which it is not ready, the test wants just that time.
        return more.includes('--ready-after') || /^ready$/m.test(text)
      },
      onOutput: (text) => {
        output += text
      },
    })
    started.once('exit', (code) => {
      if (!isSupervised || code !== 0 || isEnding) return
      startingAgain = start(more).then((again) => {
        child = again
      })
      // How it ended is asked by who ends it.
      startingAgain.catch(() => undefined)
    })
    return started
  }

  /** A node that is deposed before it was ready ends as one that was: it is started again, too. */
  async function startPatiently(program: Parameters<typeof startChild>[0], tries = MAX_STARTS): Promise<ChildProcess> {
    try {
      return await startChild(program)
    } catch (error) {
      if (!isSupervised || tries <= 1 || !String(error).includes('ended with 0:')) throw error
      return startPatiently(program, tries - 1)
    }
  }

  async function kill(name: NodeJS.Signals): Promise<void> {
    // One that is just being started would be left behind, and miss its folder.
    await startingAgain
    isEnding = true
    await endChild(child, name, STOP_MS)
  }

  async function ask(method: string, path: string, body?: unknown): Promise<Response> {
    const content = { signal: AbortSignal.timeout(ASK_MS), ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...content })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return response
  }

  const signal = (name: NodeJS.Signals): void => {
    child.kill(name)
  }
  async function restart(more: readonly string[] = args): Promise<void> {
    await kill('SIGTERM')
    child = await start(more)
  }

  return {
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
    alive: () => isAlive(child),
    output: () => output,
    signal,
    kill,
    restart,
    async endFor(name, ms) {
      await kill(name)
      await sleep(ms)
      await restart()
    },
    async freezeFor(ms) {
      signal('SIGSTOP')
      await sleep(ms)
      signal('SIGCONT')
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
    stop,
  }
}
