import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { afterAll } from './after-all.ts'
import { endChild, startChild } from './child.ts'
import { until } from './until.ts'

const running = new Set<() => Promise<void>>()
afterAll(async () => {
  for (const stop of running) await stop()
})

/** Starts a server that keeps all it has in `folder`. Ended, and the folder removed, after the test file at the latest. */
export async function startDaemon(options: {
  readonly name: string
  readonly folder: string
  readonly command: readonly string[]
  readonly isReady: (output: string) => boolean
  /** Where it listens, which may be a moment after it says that it is ready. */
  readonly listens: { readonly host: string; readonly port: number }
}): Promise<{ readonly child: ChildProcess; readonly stop: () => Promise<void> }> {
  const { folder, listens: { host, port }, ...rest } = options
  const child = await startChild({ ...rest, withinMs: 30_000, onOutput: () => undefined })
  const stop = async (): Promise<void> => {
    running.delete(stop)
    await endChild(child, 'SIGTERM', 10_000)
    await rm(folder, { recursive: true, force: true })
  }
  running.add(stop)
  await until(() => isOpen(host, port), `an open port of ${options.name}`)
  return { child, stop }
}

async function isOpen(host: string, port: number): Promise<boolean> {
  const socket = connect(port, host)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
