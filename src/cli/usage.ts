/** A command was asked for what it cannot do: `program.ts` prints why, and ends with the exit code of bad usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function misused(why: string): never {
  throw new UsageError(why)
}
