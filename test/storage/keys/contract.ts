import { randomBytes, randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { parseKeyId } from '../../../src/ports/key-store.ts'
import type { KeyId, KeyStore } from '../../../src/ports/key-store.ts'

export type Subject = {
  readonly store: KeyStore
  /** The same keys in a new process. */
  reopen(): Promise<KeyStore>
  close(): Promise<void>
}

/** What every KeyStore does alike. */
export function describeKeyStore(name: string, factory: () => Promise<Subject>): void {
  describe(name, () => {
    let subject: Subject
    let store: KeyStore

    beforeEach(async () => {
      subject = await factory()
      store = subject.store
    })
    afterEach(() => subject.close())

    it('keep a key, also over a restart', async () => {
      const [id, key] = [newKeyId(), randomBytes(32)]
      expect(await store.get(id)).toEqual({ status: 'absent' })
      expect(await store.create(id, key)).toBe('created')
      expect(await store.get(id)).toEqual({ status: 'present', key })
      expect(await (await subject.reopen()).get(id)).toEqual({ status: 'present', key })
    })

    it('let one of many create a key, and the others find it', async () => {
      const id = newKeyId()
      const keys = Array.from({ length: 10 }, () => randomBytes(32))
      const outcomes = await Promise.all(keys.map((key) => store.create(id, key)))
      expect(outcomes.toSorted()).toEqual(['created', ...Array.from({ length: 9 }, () => 'exists')])
      expect(await store.get(id)).toEqual({ status: 'present', key: keys[outcomes.indexOf('created')] })
    })

    it('forget a key for good', async () => {
      const id = newKeyId()
      await store.create(id, randomBytes(32))
      await store.forget(id)
      expect(await store.get(id)).toEqual({ status: 'forgotten' })
      expect(await store.create(id, randomBytes(32))).toBe('exists')
      await store.forget(id)
      expect(await (await subject.reopen()).get(id)).toEqual({ status: 'forgotten' })
    })

    it('forget a key that never was', async () => {
      const id = newKeyId()
      await store.forget(id)
      expect(await store.create(id, randomBytes(32))).toBe('exists')
      expect(await store.get(id)).toEqual({ status: 'forgotten' })
    })

    it('forget one and keep the others', async () => {
      const id = newKeyId()
      const neighbour = parseKeyId(`${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`)
      if (neighbour === undefined) throw new Error('no key id')
      for (const each of [id, neighbour]) await store.create(each, randomBytes(32))
      await store.forget(id)
      expect(await store.get(neighbour)).toMatchObject({ status: 'present' })
    })

    it('take no key of another length', async () => {
      await expect((async () => store.create(newKeyId(), randomBytes(16)))()).rejects.toThrow('32 bytes')
    })
  })
}

export function newKeyId(): KeyId {
  const id = parseKeyId(randomUUID())
  if (id === undefined) throw new Error('a random UUID is no key id')
  return id
}
