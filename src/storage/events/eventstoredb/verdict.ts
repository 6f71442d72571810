import type { EndPoint } from '@eventstore/db-client'

/** Why something is tried again: few enough to be a label. */
export type Reason = 'unavailable' | 'not ready' | 'no answer' | 'not leader' | 'no leader' | 'ended' | 'cancelled' | 'no node' | 'stalled'

export type Verdict =
  /** It says nothing of the outcome, or that nothing was done; `leader`: who leads, where that was said. */
  | { readonly kind: 'again'; readonly reason: Reason; readonly leader?: EndPoint }
  /** The stream stands at another revision; -1: it is empty. */
  | { readonly kind: 'conflict'; readonly actual: number }
  /** Trying again would change nothing. */
  | { readonly kind: 'final' }

/** No answer came in the time that a call has. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError'
}

/** Of the nodes, none that answers knows who leads. */
export class NoNodeError extends Error {
  override readonly name = 'NoNodeError'
}

/** A subscription that gives nothing although the log went on. */
export class StalledError extends Error {
  override readonly name = 'StalledError'
}

/** A subscription that the server ended without an error, or that was given up for a newer client. */
export class EndedError extends Error {
  override readonly name = 'EndedError'
}

/** What the client makes of "try again", by the type of its error. */
const BY_TYPE: Readonly<Record<string, Reason>> = {
  unavailable: 'unavailable',
  'deadline-exceeded': 'no answer',
  // ABORTED: "Operation timed out: Request canceled by server", when a server stops in order.
  timeout: 'ended',
  cancelled: 'cancelled',
}

/** What it calls unknown, or leaves as it is, by what it says. */
const BY_MESSAGE: readonly (readonly [RegExp, Reason])[] = [
  [/\b14 UNAVAILABLE\b/, 'unavailable'],
  [/Server Is (Not Ready|Busy|Too Busy)/i, 'not ready'],
  [/No leader info/i, 'no leader'],
  [/Received RST_STREAM|Call ended without gRPC status/i, 'ended'],
]

/**
 * What an error of the client means, by its type *and* its message: much that passes comes as UnknownError or as a plain Error
 * (measured; the list stands in docs/eventstoredb.md). Types are compared by their name, since a class may be there twice.
 */
export function verdictOn(error: unknown): Verdict {
  if (error instanceof NoAnswerError) return { kind: 'again', reason: 'no answer' }
  if (error instanceof NoNodeError) return { kind: 'again', reason: 'no node' }
  if (error instanceof StalledError) return { kind: 'again', reason: 'stalled' }
  if (error instanceof EndedError) return { kind: 'again', reason: 'ended' }
  if (!(error instanceof Error)) return { kind: 'final' }
  const type = 'type' in error ? String(error.type) : undefined
  if (type === 'wrong-expected-version') return { kind: 'conflict', actual: actualOf(error) }
  if (type === 'not-leader') return { kind: 'again', reason: 'not leader', ...leaderOf(error) }
  const known = BY_TYPE[type ?? '']
  if (known !== undefined) return { kind: 'again', reason: known }
  // A typed error other than "unknown" is one that the server decided upon, whatever its text says.
  const found = type === undefined || type === 'unknown' ? BY_MESSAGE.find(([pattern]) => pattern.test(error.message)) : undefined
  return found === undefined ? { kind: 'final' } : { kind: 'again', reason: found[1] }
}

function actualOf(error: Error): number {
  return 'actualVersion' in error && typeof error.actualVersion === 'bigint' ? Number(error.actualVersion) : -1
}

function leaderOf(error: Error): { readonly leader?: EndPoint } {
  if (!('leader' in error) || typeof error.leader !== 'object' || error.leader === null) return {}
  const { leader } = error
  if (!('address' in leader) || !('port' in leader) || typeof leader.address !== 'string' || typeof leader.port !== 'number') return {}
  return { leader: { address: leader.address, port: leader.port } }
}

/** Whether an error is of this type of the client's. */
export function isType(error: unknown, type: 'stream-not-found' | 'stream-deleted' | 'maximum-append-size-exceeded' | 'user-conflict'): boolean {
  return error instanceof Error && 'type' in error && error.type === type
}
