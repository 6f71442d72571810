import { comparePositions } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'

/** Tells when what was written can be read: when the catalogue, and this process's memory of it, have passed a position. */
export function createVisibility() {
  let passed: Position | undefined
  let waiting: { readonly position: Position; resolve(): void }[] = []

  return {
    passed: () => passed,
    advance(position: Position): void {
      if (passed !== undefined && comparePositions(position, passed) <= 0) return
      passed = position
      const ready = waiting.filter((each) => comparePositions(each.position, position) <= 0)
      if (ready.length === 0) return
      waiting = waiting.filter((each) => comparePositions(each.position, position) > 0)
      for (const each of ready) each.resolve()
    },
    /** True once the position is visible, false if the signal aborts before. */
    async visible(position: Position, signal: AbortSignal): Promise<boolean> {
      if (passed !== undefined && comparePositions(position, passed) <= 0) return true
      if (signal.aborted) return false
      const { promise, resolve } = Promise.withResolvers<boolean>()
      const entry = {
        position,
        resolve: () => {
          resolve(true)
        },
      }
      waiting.push(entry)
      const giveUp = (): void => {
        waiting = waiting.filter((each) => each !== entry)
        resolve(false)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      try {
        return await promise
      } finally {
        signal.removeEventListener('abort', giveUp)
      }
    },
  }
}

export type Visibility = ReturnType<typeof createVisibility>
