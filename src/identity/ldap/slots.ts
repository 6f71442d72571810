/** A number of things that may be had at once; who finds none free waits in a row. */
export type Slots = {
  /** Rejects with the signal's reason where that comes first; then there is nothing to give back. */
  take(signal: AbortSignal): Promise<void>
  give(): void
}

export function createSlots(count: number): Slots {
  let free = count
  const waiting = new Set<() => void>()
  return {
    take(signal) {
      if (free > 0) {
        free -= 1
        return Promise.resolve()
      }
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiting.delete(enter)
          reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
        }
        const enter = (): void => {
          signal.removeEventListener('abort', leave)
          resolve()
        }
        waiting.add(enter)
        signal.addEventListener('abort', leave, { once: true })
      })
    },
    give() {
      const [next] = waiting
      if (next === undefined) {
        free += 1
        return
      }
      waiting.delete(next)
      next()
    },
  }
}
