import type { Aggregate, Handled, Refused } from '../commands/handle.ts'
import type { Fact } from '../ports/event.ts'
import type { Refusal } from '../oci/errors.ts'
import type { Registry } from './registry.ts'
import type { Requester } from './requester.ts'

/**
 * Runs a command, and answers once what came of it can be read. A request waits for both together no longer than for one; `visible`
 * says whether it can.
 */
export async function perform<S extends { readonly revision: number }, C, F extends Fact, R extends Refused = Refusal>(
  registry: Pick<Registry, 'handle' | 'visible'>,
  requester: Pick<Requester, 'command'>,
  aggregate: Aggregate<S, C, F, R>,
  command: C,
): Promise<Handled<S, F, R> & { readonly visible: boolean }> {
  const context = requester.command()
  const handled = await registry.handle(aggregate, command, context)
  const visible = handled.position === undefined || (await registry.visible(handled.position, context.signal))
  return { ...handled, visible }
}
