import { currentKeyring } from '../api/token/keys.ts'
import { SERVICE } from '../api/token/token.ts'
import type { Opened } from '../cli/opened.ts'
import type { CommandContext } from '../commands/handle.ts'
import { createTokens } from '../identity/tokens/tokens.ts'
import type { StartedRegistry } from './registry.ts'

export type TokenKeys = Awaited<ReturnType<typeof createTokenKeys>>

/** The registry's own tokens, and the keys of the log that sign them. */
export async function createTokenKeys({ sealer }: Opened, { registry }: StartedRegistry, system: CommandContext, publicUrl: () => string) {
  const { identity, handle, visible } = registry
  const current = () => currentKeyring({ identity, sealer, handle, visible }, system)
  let keyring = await current()
  const tokens = createTokens({ issuer: publicUrl, audience: SERVICE, keyring, now: Date.now })

  return {
    tokens,
    jwks: () => keyring.jwks(Date.now()),
    /** Takes the keys of the log as they are now, with a new pair where it is time for one. */
    async rotate(): Promise<void> {
      keyring = await current()
      tokens.use(keyring)
    },
  }
}
