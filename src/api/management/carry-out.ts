import type { Aggregate, Handled } from '../../commands/handle.ts'
import type { Rejection } from '../../commands/rejection.ts'
import type { Fact } from '../../ports/event.ts'
import { perform } from '../perform.ts'
import type { Requester } from '../requester.ts'
import type { Management } from './management.ts'

/** Carries a command out for somebody, and waits until what it changed can be read. Answers what came of it. */
export async function carryOut<S extends { readonly revision: number }, C, F extends Fact>(
  management: Pick<Management, 'handle' | 'visible'>,
  requester: Pick<Requester, 'command'>,
  aggregate: Aggregate<S, C, F, Rejection>,
  command: C,
): Promise<Handled<S, F, Rejection>['outcome']> {
  return (await perform(management, requester, aggregate, command)).outcome
}
