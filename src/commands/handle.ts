import { randomUUID } from 'node:crypto'
import type { Refusal } from '../oci/errors.ts'
import type { Actor, Event, Fact } from '../ports/event.ts'
import type { EventLog } from '../ports/event-log.ts'
import { createInTurn } from '../ports/in-turn.ts'
import { orAborted } from '../ports/or-aborted.ts'
import type { Sealed } from '../ports/key-store.ts'
import type { Position } from '../ports/position.ts'

/** Who commands, and by which request. */
export type CommandContext = {
  readonly actor: Actor
  readonly private?: Sealed
  readonly requestId?: string
  readonly now: () => Date
  /** Frees who commands, whatever is waited for: the queue, a read or an append, whose outcome stays unknown then. */
  readonly signal?: AbortSignal
}

/**
 * An aggregate as the handler needs it. `load` gives a state and the revision that it stands at, from one snapshot; it may be
 * behind the stream, which is the authority: what came after is folded before each decision.
 */
export type Aggregate<State extends { readonly revision: number }, Command, F extends Fact, R extends Refused = Refusal> = {
  readonly stream: string
  /** The stream's name is the command's own, so it is most likely empty: it is read only where an append finds that it is not. */
  readonly own?: true
  load(command: Command): Promise<State>
  /** A promise where something personal has to be opened first. */
  evolve(state: State, event: Event<F>, command: Command): State | Promise<State>
  decide(state: State, command: Command): readonly F[] | R
}

/** What a decision answers that cannot be done: a door's refusal, or a command's rejection. */
export type Refused = { readonly refused: true }

export type Handled<State, F, R extends Refused = Refusal> = {
  readonly outcome: readonly Event<F & Fact>[] | R
  /** The state that was decided upon. */
  readonly state: State
  /** Where the outcome was true: the last event appended, or seen. Undefined where the stream has none that was not yet visible. */
  readonly position: Position | undefined
}

/** More than the processes that could race for one stream: each lost race means that another one's append went through. */
const MAX_TRIES = 20

/** The stream moved at every try. */
export class ContentionError extends Error {
  override readonly name = 'ContentionError'
}

function isRefused<R extends Refused>(decision: readonly unknown[] | R): decision is R {
  return 'refused' in decision
}

export function envelope<F extends Fact>(fact: F, context: CommandContext): Event<F> {
  return {
    ...fact,
    id: randomUUID(),
    at: context.now().toISOString(),
    actor: context.actor,
    ...(context.private === undefined ? {} : { private: context.private }),
    ...(context.requestId === undefined ? {} : { requestId: context.requestId }),
  }
}

export type Handle = ReturnType<typeof createHandler>

/** Load, decide, append, and try again on a conflict. Commands to one stream queue in this process. */
export function createHandler(log: EventLog) {
  const inTurn = createInTurn()

  async function attempt<S extends { readonly revision: number }, C, F extends Fact, R extends Refused = Refusal>(
    aggregate: Aggregate<S, C, F, R>,
    command: C,
    context: CommandContext,
  ): Promise<Handled<S, F, R>> {
    // Whoever it was for has been freed: where the log is away, the next in the queue would wait for what nobody wants.
    context.signal?.throwIfAborted()
    let state = await aggregate.load(command)
    let position: Position | undefined
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const read = aggregate.own === true && tries === 0 ? [] : log.readStream(aggregate.stream, state.revision)
      for await (const recorded of read) {
        state = await aggregate.evolve(state, recorded.event as Event<F>, command)
        position = recorded.position
      }
      const decision = aggregate.decide(state, command)
      if (isRefused(decision)) return { outcome: decision, state, position }
      const events = decision.map((fact) => envelope(fact, context))
      if (events.length === 0) return { outcome: [], state, position }
      const appended = await log.append(aggregate.stream, state.revision, events, context.signal)
      if (appended.status === 'appended') return { outcome: events, state, position: appended.positions.at(-1) }
    }
    throw new ContentionError(`${aggregate.stream} moved at each of ${MAX_TRIES} tries`)
  }

  return async function handle<S extends { readonly revision: number }, C, F extends Fact, R extends Refused = Refusal>(
    aggregate: Aggregate<S, C, F, R>,
    command: C,
    context: CommandContext,
  ): Promise<Handled<S, F, R>> {
    return orAborted(inTurn.run(aggregate.stream, () => attempt(aggregate, command, context)), context.signal)
  }
}
