import { expect } from '@jest/globals'
import type { Rejection } from '../../src/commands/rejection.ts'
import type { Refusal } from '../../src/oci/errors.ts'
import type { Event, Fact } from '../../src/ports/event.ts'
import { eventOf } from '../storage/events/contract.ts'

type Decider<State, Command, F extends Fact> = {
  readonly initial: State
  evolve(state: State, event: Event<F>, command: Command): State
  decide(state: State, command: Command): readonly F[] | Refusal | Rejection
}

/** Given what happened, when something is asked for, then this and nothing else happens, in this order. */
export function specification<State, Command, F extends Fact>(decider: Decider<State, Command, F>) {
  return {
    given: (...facts: readonly F[]) => ({
      when(command: Command) {
        const state = facts.reduce<State>((before, fact) => decider.evolve(before, eventOf(fact), command), decider.initial)
        const frozen = structuredClone(state)
        const decision = decider.decide(state, command)
        // A decision changes nothing by itself.
        expect(state).toStrictEqual(frozen)
        return {
          then(...expected: readonly F[]): void {
            expect(decision).toStrictEqual(expected)
          },
          thenRefused(code: (Refusal | Rejection)['code'], detail?: unknown): void {
            if (!('refused' in decision)) throw new Error(`not refused: ${JSON.stringify(decision)}`)
            expect({ code: decision.code, detail: 'detail' in decision ? decision.detail : undefined }).toStrictEqual({ code, detail })
          },
        }
      },
    }),
  }
}
