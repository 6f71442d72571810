import { argon2Sync, createSecretKey, pbkdf2Sync, randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { harborVerifier, makeArgon2Verifier } from '../../../src/identity/passwords/schemes.ts'
import type { Slots } from '../../../src/identity/passwords/slots.ts'
import { createSlots } from '../../../src/identity/passwords/slots.ts'
import { createVerifiers } from '../../../src/identity/passwords/verifiers.ts'

const secretKey = createSecretKey(randomBytes(32))
const slots = createSlots({ most: 1, mostWaiting: 10 })
const verifiers = createVerifiers({ secretKey, slots })

/** Counts what passes a slot, the costly part of a verification. */
function counted(): { readonly slots: Slots; readonly count: () => number } {
  let count = 0
  return {
    slots: {
      run: (task) => {
        count += 1
        return slots.run(task)
      },
    },
    count: () => count,
  }
}

async function chosen(password: string): Promise<string> {
  const made = await verifiers.forPassword(password)
  if (made === 'busy') throw new Error('busy')
  return made.verifier
}

function fromHarbor(password: string, version: 'sha1' | 'sha256'): string {
  const hash = pbkdf2Sync(password, 'its salt', 4096, 16, version).toString('hex')
  return harborVerifier({ hash, salt: 'its salt', version }) ?? ''
}

describe('a verifier', () => {
  it('of a password names its scheme and parameters, never holds the password, and differs each time', async () => {
    const [one, two] = [await chosen('Tangled-Rope-7'), await chosen('Tangled-Rope-7')]
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w-]{22}\$[\w-]{43}$/)
    expect(two).not.toBe(one)
    expect(await verifiers.verify(one, 'Tangled-Rope-7')).toBe('right')
    expect(await verifiers.verify(one, 'Tangled-Rope-8')).toBe('wrong')
    expect(await verifiers.verify(one, '')).toBe('wrong')
  })

  it('is right for every way to type the same characters', async () => {
    expect(await verifiers.verify(await chosen('Caf\u00e9-Caf\u00e9-1'), 'Cafe\u0301-Cafe\u0301-1')).toBe('right')
  })

  it('of a secret that a machine made needs the registry’s key', async () => {
    const verifier = verifiers.forSecret('Abc123')
    expect(verifier).toMatch(/^\$hmac-sha256\$[\w-]{22}\$[\w-]{43}$/)
    expect(verifiers.forSecret('Abc123')).not.toBe(verifier)
    expect(await verifiers.verify(verifier, 'Abc123')).toBe('right')
    expect(await verifiers.verify(verifier, 'Abc124')).toBe('wrong')
    const another = createVerifiers({ secretKey: createSecretKey(randomBytes(32)), slots })
    expect(await another.verify(verifier, 'Abc123')).toBe('wrong')
    expect(() => createVerifiers({ secretKey: createSecretKey(randomBytes(16)), slots })).toThrow('32 bytes')
  })

  it.each(['sha1', 'sha256'] as const)('that comes from Harbor with %s is right, and to be made anew', async (version) => {
    const verifier = fromHarbor('Harbor12345', version)
    expect(verifier).toMatch(new RegExp(`^\\$pbkdf2-${version}\\$i=4096\\$`))
    expect(await verifiers.verify(verifier, 'Harbor12345')).toBe('right, make anew')
    expect(await verifiers.verify(verifier, 'harbor12345')).toBe('wrong')
  })

  it('that comes from Harbor takes the characters as they were typed', async () => {
    expect(await verifiers.verify(fromHarbor('Cafe\u0301', 'sha256'), 'Cafe\u0301')).toBe('right, make anew')
    expect(await verifiers.verify(fromHarbor('Cafe\u0301', 'sha256'), 'Caf\u00e9')).toBe('wrong')
  })

  it.each([
    { hash: '', salt: 'salt', version: 'sha256' },
    { hash: 'a'.repeat(31), salt: 'salt', version: 'sha256' },
    { hash: 'g'.repeat(32), salt: 'salt', version: 'sha256' },
    { hash: 'a'.repeat(32), salt: '', version: 'sha256' },
    { hash: 'a'.repeat(32), salt: 'salt', version: 'md5' },
    { hash: 'a'.repeat(32), salt: 'salt', version: '' },
  ])('is not made of what Harbor does not write: %j', (stored) => {
    expect(harborVerifier(stored)).toBeUndefined()
  })

  it('with the parameters of another day is right, and to be made anew', async () => {
    const old = '$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$'
    const hash = argon2Sync('argon2id', { message: Buffer.from('Tangled-Rope-7'), nonce: Buffer.from('somesalt'), parallelism: 1, tagLength: 32, memory: 8, passes: 1 })
    expect(await verifiers.verify(old + hash.toString('base64url'), 'Tangled-Rope-7')).toBe('right, make anew')
  })

  it.each(['', 'secret', '$argon2i$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA', '$hmac-sha256$', '$pbkdf2-md5$i=4096$c2FsdA$aGFzaA', '$pbkdf2-sha256$i=1$c2FsdA$aGFzaA'])(
    'of an unknown scheme is a defect: %j',
    async (text) => {
      await expect(verifiers.verify(text, 'secret')).rejects.toThrow('unknown scheme')
    },
  )

  it('is not matched by a part of its hash', async () => {
    // Four characters of base64url less are three bytes less.
    expect(await verifiers.verify(verifiers.forSecret('Abc123').slice(0, -4), 'Abc123')).toBe('wrong')
  })
})

describe('what it costs', () => {
  it('is the same for a name that nobody has, for a person and for one who comes from Harbor: one slot', async () => {
    const known = await makeArgon2Verifier('Tangled-Rope-7')
    const counts = []
    for (const attempt of ['nobody', known, fromHarbor('Harbor12345', 'sha256')]) {
      const { slots: counting, count } = counted()
      const of = createVerifiers({ secretKey, slots: counting })
      expect(await (attempt === 'nobody' ? of.verifyNobody('Wrong-One-1') : of.verify(attempt, 'Wrong-One-1'))).toBe('wrong')
      counts.push(count())
    }
    expect(counts).toEqual([1, 1, 1])
  })

  it('is no slot for what a machine made', async () => {
    const { slots: counting, count } = counted()
    const of = createVerifiers({ secretKey, slots: counting })
    expect(await of.verify(of.forSecret('Abc123'), 'Abc123')).toBe('right')
    expect(count()).toBe(0)
  })

  it('is refused as busy for known and unknown alike when too many wait', async () => {
    const full: Slots = createSlots({ most: 1, mostWaiting: 0 })
    let free = (): void => undefined
    const held = full.run(() => new Promise<void>((resolve) => (free = resolve)))
    const of = createVerifiers({ secretKey, slots: full })
    expect(await of.verify(await makeArgon2Verifier('Tangled-Rope-7'), 'Tangled-Rope-7')).toBe('busy')
    expect(await of.verifyNobody('Tangled-Rope-7')).toBe('busy')
    expect(await of.forPassword('Tangled-Rope-7')).toBe('busy')
    expect(await of.verify(fromHarbor('Harbor12345', 'sha256'), 'Harbor12345')).toBe('busy')
    free()
    await held
    expect(await of.verifyNobody('Tangled-Rope-7')).toBe('wrong')
  })
})
