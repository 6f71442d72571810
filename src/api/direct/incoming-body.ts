import type { Body } from '../oci/router.ts'

/** As much as a read brings at most, and what is written to the disk at once. */
const MEMORY_BYTES = 256 * 1024
const MAX_SPARE = 32
const spare: Buffer[] = []

/** The body of a request whose length is known, as it comes in on its connection. */
export type IncomingBody = Body & {
  /** Where the next bytes of it go: never more than it has left. */
  memory(): Uint8Array
  /** Takes what came, no more than it has left. */
  add(bytes: Buffer): void
  /** What has not come of it will not come. */
  fail(error: Error): void
  failed(): boolean
  /** How much has not come yet. */
  bytesLeft(): number
  /** Whether somebody waits for more of it. */
  isAwaited(): boolean
  /** Reads on and drops it. Returns at its end, or when it fails. */
  drop(): Promise<void>
  /** Its memory goes to the next body. Nothing may come any more. */
  end(): void
}

/**
 * A body of `length` bytes. `more` lets the connection bring the next ones; until it is called none come, so that what is being used
 * is not written over: each piece that is read is there until the next is asked for.
 */
export function createIncomingBody(length: number, more: () => void): IncomingBody {
  const memory = spare.pop() ?? Buffer.allocUnsafeSlow(MEMORY_BYTES)
  let left = length
  let piece: Buffer | undefined
  let failure: Error | undefined
  /** Tells whoever waits that something has changed. */
  let wake: (() => void) | undefined
  let dropping = false

  function changed(): void {
    wake?.()
    wake = undefined
  }

  function change(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve
      more()
    })
  }

  function fail(error: Error): void {
    if (left > 0) failure ??= error
    changed()
  }

  return {
    memory: () => (left < MEMORY_BYTES ? memory.subarray(0, left) : memory),
    add(bytes) {
      left -= bytes.length
      if (!dropping) piece = bytes
      changed()
    },
    fail,
    async *read(withinMs) {
      const timer = withinMs === undefined ? undefined : setTimeout(() => { fail(new Error('the body took too long')) }, withinMs)
      try {
        for (;;) {
          if (piece === undefined && left > 0 && failure === undefined) await change()
          const next = piece
          piece = undefined
          if (next !== undefined) yield next
          else if (left === 0) return
          else if (failure !== undefined) throw failure
        }
      } finally {
        clearTimeout(timer)
      }
    },
    failed: () => failure !== undefined,
    bytesLeft: () => left,
    isAwaited: () => wake !== undefined,
    async drop() {
      dropping = true
      piece = undefined
      while (left > 0 && failure === undefined) await change()
    },
    end() {
      if (spare.length < MAX_SPARE) spare.push(memory)
    },
  }
}
