import { userAggregate } from '../commands/user/aggregate.ts'
import type { CommandContext, Handle } from '../commands/handle.ts'
import type { Verifiers } from '../identity/passwords/verifiers.ts'
import type { DecisionRows } from '../ports/decision-rows.ts'
import { SECRETS } from '../ports/key-store.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { ServerLog } from './server-log.ts'

/**
 * Keeps a password that was verified by a scheme of the past under today's. Nobody waits for it: where it fails, the next login tries
 * again.
 */
export function createPasswordUpgrade(options: {
  readonly verifiers: Verifiers
  readonly sealer: Sealer
  readonly handle: Handle
  readonly decisionRows: DecisionRows
  readonly context: CommandContext
  readonly logger: Pick<ServerLog, 'warn'>
}) {
  const { verifiers, sealer, handle, decisionRows, context, logger } = options

  async function upgrade(user: string, password: string): Promise<void> {
    const made = await verifiers.forPassword(password)
    if (made === 'busy') return
    const verifier = await sealer.seal(SECRETS, made.verifier)
    await handle(userAggregate(decisionRows, user), { type: 'ChangePassword', verifier, upgraded: true }, context)
  }

  return (user: string, password: string): void => {
    upgrade(user, password).catch((error: unknown) => {
      logger.warn({ err: error, user }, 'a password could not be kept under a better scheme; its next login tries again')
    })
  }
}
