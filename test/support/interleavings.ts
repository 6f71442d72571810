/**
 * Every order of the steps of all chains in which each chain keeps its own order. `after` holds further pairs: the first step comes
 * after the second.
 */
export function* interleavings<S extends string>(chains: readonly (readonly S[])[], after: ReadonlyMap<S, S> = new Map()): Generator<readonly S[]> {
  const total = chains.reduce((sum, chain) => sum + chain.length, 0)
  yield* extend([], chains.map(() => 0))

  function* extend(order: readonly S[], taken: readonly number[]): Generator<readonly S[]> {
    if (order.length === total) {
      yield order
      return
    }
    for (const [index, chain] of chains.entries()) {
      const step = chain[taken[index] ?? 0]
      if (step === undefined) continue
      const awaited = after.get(step)
      if (awaited !== undefined && !order.includes(awaited)) continue
      yield* extend([...order, step], taken.map((count, each) => (each === index ? count + 1 : count)))
    }
  }
}
