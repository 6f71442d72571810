import { keysAggregate } from '../../commands/keys/aggregate.ts'
import type { CommandContext, Handle } from '../../commands/handle.ts'
import { PUBLISHED_BEFORE_MS, createKeyring } from '../../identity/tokens/keyring.ts'
import type { Keyring } from '../../identity/tokens/keyring.ts'
import { makeSigningKey } from '../../identity/tokens/signing-key.ts'
import { SECRETS } from '../../ports/key-store.ts'
import type { Sealer } from '../../ports/key-store.ts'
import type { Position } from '../../ports/position.ts'
import type { IdentityReader } from '../../projections/identity-reader.ts'

type Keys = {
  readonly identity: Pick<IdentityReader, 'signingKeys'>
  readonly sealer: Sealer
  readonly handle: Handle
  readonly visible: (position: Position) => Promise<boolean>
}

/** The keys of the log, opened; and a new pair where the newest is due, published before it signs; the first one signs at once. */
export async function currentKeyring(keys: Keys, context: CommandContext): Promise<Keyring> {
  const ring = await readKeyring(keys)
  const now = context.now().getTime()
  if (!ring.rotationDue(now)) return ring
  const { kid, publicJwk, privateKey } = makeSigningKey()
  const isFirst = ring.signing(now) === undefined
  const command = {
    after: (await keys.identity.signingKeys()).at(-1)?.kid,
    kid,
    notBefore: new Date(isFirst ? now : now + PUBLISHED_BEFORE_MS),
    publicKey: JSON.stringify(publicJwk),
    privateKey: await keys.sealer.seal(SECRETS, privateKey),
  }
  const { position } = await keys.handle(keysAggregate, command, context)
  if (position !== undefined) await keys.visible(position)
  return readKeyring(keys)
}

async function readKeyring({ identity, sealer }: Keys): Promise<Keyring> {
  const rows = await identity.signingKeys()
  const opened = await Promise.all(
    rows.map(async (row, index) => {
      const next = rows[index + 1]
      const retired = next === undefined ? {} : { retiredAtMs: next.notBefore.getTime() }
      return { privateKey: (await sealer.open(row.privateKey)) ?? '', notBeforeMs: row.notBefore.getTime(), ...retired }
    }),
  )
  return createKeyring(opened)
}
