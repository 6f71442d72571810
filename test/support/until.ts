import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for something to be so. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not come about in ${timeoutMs} ms`)
    await sleep(10)
  }
}
