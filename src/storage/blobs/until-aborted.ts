/** A source's chunks until the signal aborts, also while the source has nothing to give: then the signal's reason is thrown. */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let interrupt: (() => void) | undefined
  const onAbort = () => interrupt?.()
  signal.addEventListener('abort', onAbort)
  let open = true
  try {
    for (;;) {
      signal.throwIfAborted()
      // Not Promise.race with one promise of the abort: that would keep something of every chunk until the end.
      const result = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        interrupt = () => {
          resolve(undefined)
        }
        const next = iterator.next()
        next.catch(() => {
          open = false
        })
        next.then(resolve, reject)
      })
      if (result?.done === true) {
        open = false
        return
      }
      if (result !== undefined) yield result.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    if (open) {
      const closed = iterator.return?.()
      // An async generator that waits for its next chunk returns only after it, which may be never.
      if (signal.aborted) closed?.catch(() => undefined)
      else await closed
    }
  }
}
