import type { RepositoryKey } from '../../ports/streams.ts'
import type { Caller } from './batches.ts'
import type { RefusalReason } from './events.ts'

/** Somebody was not let in, or not let do something. */
export type Refused = {
  /** What repeats are told by: the subject, or where nobody is known by their credentials, the network. */
  readonly source: string
  readonly reason: RefusalReason
  readonly requestId: string
  readonly repository?: RepositoryKey
  readonly project?: string
  readonly action?: string
}

/** What a row says of a refusal, and of `count` more like it where it is a count. */
export type RefusalNote = Pick<Refused, 'reason' | 'repository' | 'project' | 'action'> & { readonly caller: Caller } & (
    | { readonly requestId: string }
    | { readonly count: number }
  )

export const MINUTE_MS = 60_000
/** What one source is told apart in, in a minute: a flood that changes its target all the time is not kept target by target. */
const MOST_TARGETS = 20
/** Rows of first refusals in a minute; a flood from more sources than that is counted by reason. */
const MOST_ROWS = 500

type Counted = { readonly note: Promise<(how: { readonly requestId: string } | { readonly count: number }) => void>; more: number }

/**
 * Records a refusal at its first in a minute for its source, reason and target, and counts those after it: a row when the minute ends.
 * Whatever comes, a minute writes at most about a thousand rows, and what is kept of it is bounded by them. `anybody`: the caller of the
 * rows that are of more sources than are told apart.
 */
export function createRefusals(options: { readonly note: (note: RefusalNote) => void; readonly anybody: () => Caller }) {
  const { note, anybody } = options
  let counted = new Map<string, Counted>()
  let targets = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined

  function keyOf({ source, reason, repository, project, action }: Refused): string {
    return JSON.stringify([source, reason, repository, project, action])
  }

  /** The refusal as it can be counted: with its target, without, or, where there are too many sources, of anybody. */
  function countable(refused: Refused): { readonly refused: Refused; readonly bySource: boolean } {
    if (counted.has(keyOf(refused))) return { refused, bySource: true }
    const { source, reason, requestId } = refused
    const plain = (targets.get(source) ?? 0) < MOST_TARGETS ? refused : { source, reason, requestId }
    if (counted.has(keyOf(plain)) || counted.size < MOST_ROWS) return { refused: plain, bySource: true }
    return { refused: { source: '', reason, requestId }, bySource: false }
  }

  function endMinute(): void {
    clearTimeout(timer)
    timer = undefined
    for (const { note: noteOf, more } of counted.values()) if (more > 0) void noteOf.then((write) => { write({ count: more }) })
    counted = new Map()
    targets = new Map()
  }

  return {
    /** `callerOf` is asked at the first of a minute only, and never rejects. */
    refuse(asked: Refused, callerOf: () => Promise<Caller>): void {
      const { refused, bySource } = countable(asked)
      const key = keyOf(refused)
      const before = counted.get(key)
      if (before !== undefined) {
        before.more += 1
        return
      }
      timer ??= setTimeout(endMinute, MINUTE_MS).unref()
      if (bySource) targets.set(refused.source, (targets.get(refused.source) ?? 0) + 1)
      const write = (bySource ? callerOf() : Promise.resolve(anybody())).then((caller) => (how: { readonly requestId: string } | { readonly count: number }) => {
        note({ ...targetOf(refused), ...how, caller })
      })
      counted.set(key, { note: write, more: 0 })
      void write.then((first) => { first({ requestId: refused.requestId }) })
    },
    /** Writes what was counted so far, as at the end of a minute, and resolves once all of it was handed on. */
    async flush(): Promise<void> {
      const pending = [...counted.values()].map((each) => each.note)
      endMinute()
      await Promise.all(pending)
    },
    /** How many refusals are told apart at this moment. */
    size: () => counted.size,
  }
}

function targetOf({ reason, repository, project, action }: Refused): Pick<Refused, 'reason' | 'repository' | 'project' | 'action'> {
  return {
    reason,
    ...(repository === undefined ? {} : { repository }),
    ...(project === undefined ? {} : { project }),
    ...(action === undefined ? {} : { action }),
  }
}
