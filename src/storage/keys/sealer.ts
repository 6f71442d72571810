import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ForgottenError, SECRETS, parseKeyId } from '../../ports/key-store.ts'
import type { KeyId, KeyStore, Sealer, StoredKey } from '../../ports/key-store.ts'
import { open, seal } from '../seal.ts'

const MAX_REMEMBERED_KEYS = 10_000
/** A key forgotten through another process is used no longer than this. */
const REMEMBERED_MS = 60_000

/** Seals under the keys of a store, and remembers those used last. A subject is a UUID, and its key's id: anything else rejects. */
export function createSealer(store: KeyStore): Sealer {
  const remembered = new LRUCache<KeyId, Buffer>({ max: MAX_REMEMBERED_KEYS, ttl: REMEMBERED_MS })

  async function lookup(id: KeyId): Promise<StoredKey> {
    const key = remembered.get(id)
    if (key !== undefined) return { status: 'present', key }
    const stored = await store.get(id)
    if (stored.status === 'present') remembered.set(id, stored.key)
    return stored
  }

  async function keyFor(id: KeyId): Promise<Buffer> {
    let stored = await lookup(id)
    if (stored.status === 'absent') {
      // Who comes second uses the first one's.
      await store.create(id, randomBytes(32))
      stored = await lookup(id)
    }
    if (stored.status === 'forgotten') throw new ForgottenError(`the key ${id} is forgotten`)
    if (stored.status === 'absent') throw new Error(`the key ${id} is absent`)
    return stored.key
  }

  function keyIdOf(subject: string): KeyId {
    const id = parseKeyId(subject)
    if (id === undefined) throw new Error('a subject is a UUID')
    return id
  }

  return {
    async seal(subject, clear) {
      const id = keyIdOf(subject)
      return seal(id, await keyFor(id), clear)
    },
    async forget(subject) {
      const id = keyIdOf(subject)
      if (subject === SECRETS) throw new Error("the key of the secrets is nobody's to forget")
      await store.forget(id)
      remembered.delete(id)
    },
    async open(sealed) {
      const opened = await open(sealed, lookup)
      switch (opened.status) {
        case 'opened':
          return opened.clear
        case 'forgotten':
          return undefined
        case 'absent':
          throw new Error('a key is gone without a tombstone: restore keys/ from the backup')
      }
    },
  }
}
