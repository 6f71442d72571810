import { EndedError } from './verdict.ts'

/** Above so many items its stream is paused, until half of them are taken: an event has up to 256 kB. */
const MAX_ITEMS = 64

/** The part of the client's streams that is used here. */
type Streaming<T> = {
  on(event: 'data', listener: (item: T) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end' | 'close', listener: () => void): unknown
  pause(): unknown
  resume(): unknown
  isPaused(): boolean
}

export type Source<T extends object> = ReturnType<typeof sourceOf<T>>

/**
 * A stream's items, to be taken one by one: whoever takes them knows when there is none at this moment, and the stream's error or end is
 * met behind the items that came before it. No error of it is ever without a listener, however late it comes.
 */
export function sourceOf<T extends object>(stream: Streaming<T>, cancel: () => Promise<void>) {
  const items: T[] = []
  let failure: Error | undefined
  let ended = false
  let wake = Promise.withResolvers<undefined>()
  const changed = (): void => {
    wake.resolve(undefined)
  }
  stream.on('data', (item: T) => {
    items.push(item)
    if (items.length >= MAX_ITEMS) stream.pause()
    changed()
  })
  stream.on('error', (error) => {
    failure ??= error
    changed()
  })
  stream.on('end', () => {
    ended = true
    changed()
  })
  stream.on('close', () => {
    if (!ended) failure ??= new EndedError('the connection closed what the server sent')
    changed()
  })

  return {
    /** The next item, or undefined where none is there at this moment. Throws the stream's error behind the last. */
    take(): T | undefined {
      const item = items.shift()
      if (item === undefined && failure !== undefined) throw failure
      if (items.length <= MAX_ITEMS / 2 && stream.isPaused()) stream.resume()
      return item
    },
    /** Whether the stream came to its end and everything of it was taken. */
    ended: (): boolean => ended && items.length === 0 && failure === undefined,
    /** Until there may be something to take, for so long at most, or until the signal aborts. */
    async changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
      if (items.length > 0 || failure !== undefined || ended || signal.aborted) return
      wake = Promise.withResolvers()
      const timer = setTimeout(changed, timeoutMs)
      signal.addEventListener('abort', changed)
      await wake.promise
      clearTimeout(timer)
      signal.removeEventListener('abort', changed)
    },
    /** Gives the stream up, with what it still holds. */
    close(): void {
      items.length = 0
      failure ??= new EndedError('it was given up')
      stream.pause()
      cancel().catch(() => undefined)
    },
  }
}
