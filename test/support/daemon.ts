import type { ChildProcess } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { afterAll } from './after-all.ts'
import { endChild, startChild } from './child.ts'

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
}): Promise<{ readonly child: ChildProcess; readonly stop: () => Promise<void> }> {
  const { folder, ...rest } = options
  const child = await startChild({ ...rest, withinMs: 30_000, onOutput: () => undefined })
  const stop = async (): Promise<void> => {
    running.delete(stop)
    await endChild(child, 'SIGTERM', 10_000)
    await rm(folder, { recursive: true, force: true })
  }
  running.add(stop)
  return { child, stop }
}
