/** Works that must not overlap, in queues by name. */
export type InTurn = {
  /** Runs a work once those of its name that came before have ended, however they ended: each tells its own caller of its failure. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>
  /** When all that has come so far has ended. Never rejects. */
  settled(): Promise<void>
}

export function createInTurn(): InTurn {
  /** The last of each queue. */
  const last = new Map<string, Promise<unknown>>()
  return {
    async run(name, work) {
      const before = last.get(name) ?? Promise.resolve()
      const mine = before.catch(() => undefined).then(work)
      last.set(name, mine)
      try {
        return await mine
      } finally {
        if (last.get(name) === mine) last.delete(name)
      }
    },
    async settled() {
      await Promise.allSettled(last.values())
    },
  }
}
