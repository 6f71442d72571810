import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import type { Sealed, StoredKey } from '../../src/ports/key-store.ts'
import { open, openWith, seal, sealedKeyId } from '../../src/storage/seal.ts'
import { newKeyId } from './keys/contract.ts'

const id = newKeyId()
const key = randomBytes(32)

describe('a sealed value', () => {
  it.each(['', 'a', 'grüße, 世界', 'x'.repeat(100_000)])('opens to what was sealed', async (clear) => {
    const sealed = seal(id, key, clear)
    expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(sealedKeyId(sealed)).toBe(id)
    expect(openWith(sealed, key)).toBe(clear)
    expect(await open(sealed, (asked) => ({ status: 'present', key: asked === id ? key : randomBytes(32) }))).toEqual({ status: 'opened', clear })
  })

  it('has the layout that events rely on', () => {
    const bytes = Buffer.from(seal(id, key, 'abc'), 'base64url')
    expect(bytes).toHaveLength(1 + 16 + 12 + 3 + 16)
    expect(bytes[0]).toBe(1)
    expect(bytes.toString('hex', 1, 17)).toBe(id.replaceAll('-', ''))
  })

  it('opens as it was written by the first release', () => {
    const golden = 'AQARIjNEVUZ3iJmqu8zd7v88lueDJbHCrZAlNhz3CGq6GWYq6ORXhP_SVvz83m-otP8A9Q' as Sealed
    expect(sealedKeyId(golden)).toBe('00112233-4455-4677-8899-aabbccddeeff')
    expect(openWith(golden, Buffer.alloc(32, 7))).toBe('grüße')
  })

  it('differs each time', () => {
    expect(new Set(Array.from({ length: 100 }, () => seal(id, key, 'abc'))).size).toBe(100)
  })

  it.each([{ status: 'forgotten' }, { status: 'absent' }] as const)('says that its key is $status', async (stored: StoredKey) => {
    expect(await open(seal(id, key, 'abc'), () => Promise.resolve(stored))).toEqual(stored)
  })

  it('does not open when any bit has changed', () => {
    const bytes = Buffer.from(seal(id, key, 'abc'), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => openWith(changed.toString('base64url') as Sealed, key)).toThrow()
    }
  })

  it('does not open with another key', () => {
    expect(() => openWith(seal(id, key, 'abc'), randomBytes(32))).toThrow(id)
  })

  it('is no other text', () => {
    const sealed = seal(id, key, 'abc')
    for (const text of ['', 'abc', sealed.slice(0, 50), `${sealed}=`, `${sealed} `, `${sealed}A`]) {
      expect(() => openWith(text as Sealed, key)).toThrow()
      if (text !== `${sealed}A`) expect(() => sealedKeyId(text as Sealed)).toThrow('not a sealed value')
    }
  })
})
