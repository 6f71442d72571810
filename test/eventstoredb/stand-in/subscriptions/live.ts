/** What is kept of what happens while a subscription is still sending: the newest entries, and whether any was dropped. */
export type LiveQueue<Entry> = {
  push(entry: Entry): void
  /** Resolves to the oldest entry that is kept, as soon as there is one; `dropped`: others came between it and the last one taken. */
  take(): Promise<{ readonly entry: Entry; readonly dropped: boolean }>
}

/** As many as the real server keeps. */
const KEPT = 32

/**
 * Entries are dropped only while `isStalled` says that the client is what is waited for. The real server sends from a thread of its own
 * while others append; here a whole group of appends comes in one turn, before anything of it can be sent.
 */
export function createLiveQueue<Entry>(signal: AbortSignal, isStalled: () => boolean): LiveQueue<Entry> {
  const entries: { readonly number: number; readonly entry: Entry }[] = []
  let pushed = 0
  let taken = 0
  let arrival = Promise.withResolvers<undefined>()

  return {
    push(entry) {
      pushed += 1
      entries.push({ number: pushed, entry })
      if (entries.length > KEPT && isStalled()) entries.splice(0, entries.length - KEPT)
      arrival.resolve(undefined)
    },
    async take() {
      for (;;) {
        signal.throwIfAborted()
        const oldest = entries.shift()
        if (oldest !== undefined) {
          const dropped = oldest.number !== taken + 1
          taken = oldest.number
          return { entry: oldest.entry, dropped }
        }
        arrival = Promise.withResolvers()
        await unlessAborted(arrival.promise, signal)
      }
    },
  }
}

/** As a promise does, or rejects when the signal aborts. */
async function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => {
    reject(new Error('the subscription is over', { cause: signal.reason }))
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
