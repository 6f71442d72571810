import { setTimeout as sleep } from 'node:timers/promises'

export type Heads = ReturnType<typeof createHeads>

/** How far the log is known to go: commit positions of events that this process appended, read, or was told of by the leader. */
export function createHeads(ask: () => Promise<bigint | undefined>) {
  let known = -1n
  let askedAt = -Infinity
  let asking: Promise<unknown> | undefined

  async function fresh(): Promise<bigint | undefined> {
    const head = await ask()
    if (head !== undefined && head > known) known = head
    return head
  }

  return {
    known: (): bigint => known,
    saw(commit: bigint): void {
      if (commit > known) known = commit
    },
    /** The head as it is after the call. */
    fresh,
    /**
     * What is known once it was asked in the last so many milliseconds, for all who want to know at once. Where the answer takes longer
     * than `waitMs`, or fails, it is what is known without it: somebody will ask again.
     */
    async recent(maxAgeMs: number, waitMs: number): Promise<bigint> {
      if (asking === undefined && performance.now() - askedAt >= maxAgeMs) {
        askedAt = performance.now()
        asking = fresh()
          .catch(() => undefined)
          .finally(() => (asking = undefined))
      }
      if (asking !== undefined) await Promise.race([asking, sleep(waitMs)])
      return known
    },
  }
}
