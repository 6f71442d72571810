import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { AccessRecorded, RefusalReason } from '../../src/commands/activity/events.ts'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { createHandler } from '../../src/commands/handle.ts'
import { keysAggregate } from '../../src/commands/keys/aggregate.ts'
import type { SigningKeyMade } from '../../src/commands/keys/events.ts'
import { createKeyring } from '../../src/identity/tokens/keyring.ts'
import { makeSigningKey } from '../../src/identity/tokens/signing-key.ts'
import { createTokens } from '../../src/identity/tokens/tokens.ts'
import type { Event, FactOf } from '../../src/ports/event.ts'
import { SECRETS } from '../../src/ports/key-store.ts'
import { streams } from '../../src/ports/streams.ts'
import { openPostgresLog } from '../../src/storage/events/postgres/log.ts'
import { loadMasterKey, openFileKeyStore } from '../../src/storage/keys/file.ts'
import { createSealer } from '../../src/storage/keys/sealer.ts'
import type { Connection } from '../../src/storage/postgres/embedded.ts'
import type { VarveServer } from './server.ts'

/**
 * What only somebody could do who has the registry's log, its data folder and so its keys: sign tokens of any content, and make another
 * key. The log is in this database.
 */
export async function insider(connection: Connection, { dataFolder, url }: Pick<VarveServer, 'dataFolder' | 'url'>) {
  const log = await openPostgresLog(connection, createCodec(eventTypes))
  const sealer = createSealer(await openFileKeyStore({ folder: dataFolder, masterKey: await loadMasterKey(join(dataFolder, 'master.key')) }))

  async function keys(): Promise<readonly { readonly kid: string; readonly privateKey: string }[]> {
    const found = []
    for await (const { event } of log.readStream(streams.keys, -1)) {
      if (event.type !== 'SigningKeyMade') continue
      const { kid, privateKey } = (event as Event<FactOf<typeof SigningKeyMade>>).data
      found.push({ kid, privateKey: (await sealer.open(privateKey)) ?? '' })
    }
    return found
  }

  return {
    /** The registry's own issuing of tokens, as of another time or for another audience or issuer. */
    async tokens({ audience = 'varve', issuer = url, now = Date.now }: { readonly audience?: string; readonly issuer?: string; readonly now?: () => number } = {}) {
      const newest = (await keys()).slice(-1).map(({ privateKey }) => ({ privateKey, notBeforeMs: 0 }))
      return createTokens({ issuer: () => issuer, audience, keyring: createKeyring(newest), now })
    },
    /** Appends a key that signs from now on, as another process of the registry does when the last one is old. */
    async rotate(): Promise<string> {
      const { kid, publicJwk, privateKey } = makeSigningKey()
      const command = { after: (await keys()).at(-1)?.kid, kid, notBefore: new Date(), publicKey: JSON.stringify(publicJwk), privateKey: await sealer.seal(SECRETS, privateKey) }
      await createHandler(log)(keysAggregate, command, { actor: { kind: 'system', subject: randomUUID() }, now: () => new Date() })
      return kid
    },
    /** How often somebody was refused, by why, as the trail has it. */
    async refusals(): Promise<ReadonlyMap<RefusalReason, number>> {
      const found = new Map<RefusalReason, number>()
      for await (const { event } of log.readAll(['activity'], 'start')) {
        if (event.type !== 'AccessRecorded') continue
        for (const entry of (event as Event<FactOf<typeof AccessRecorded>>).data.entries) {
          if ('reason' in entry) found.set(entry.reason, (found.get(entry.reason) ?? 0) + ('count' in entry ? entry.count : 1))
        }
      }
      return found
    },
    close: () => log.close(),
  }
}
