export type Slots = ReturnType<typeof createSlots>

/**
 * How many argon2 may run at once: each takes one of libuv's threads, which file reads need too, and a core, which the event loop needs.
 * `threads` is the size of libuv's pool (4 unless UV_THREADPOOL_SIZE says otherwise).
 */
export function passwordThreads(threads: number, cores: number): number {
  return Math.max(1, Math.min(Math.floor(threads / 2), cores - 1))
}

/** Runs at most `most` tasks at once, keeps at most `mostWaiting` waiting in their order, and answers `busy` beyond. */
export function createSlots({ most, mostWaiting }: { readonly most: number; readonly mostWaiting: number }) {
  const waiting: (() => void)[] = []
  let taken = 0

  return {
    async run<T>(task: () => Promise<T>): Promise<T | 'busy'> {
      if (taken < most) taken += 1
      else if (waiting.length >= mostWaiting) return 'busy'
      // Who ends hands its slot on, so nobody who comes meanwhile can take it.
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await task()
      } finally {
        const next = waiting.shift()
        if (next === undefined) taken -= 1
        else next()
      }
    },
  }
}
