import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ForgottenError, SECRETS } from '../../../src/ports/key-store.ts'
import { openFileKeyStore } from '../../../src/storage/keys/file.ts'
import { createSealer } from '../../../src/storage/keys/sealer.ts'

describe('the sealer', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-sealer-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const opened = async () => createSealer(await openFileKeyStore({ folder, masterKey: Buffer.alloc(32, 7) }))

  it('opens nothing of a subject that was forgotten from that moment on, though it has just used the key', async () => {
    const sealer = await opened()
    const [ann, ben] = [randomUUID(), randomUUID()]
    const [anns, bens] = [await sealer.seal(ann, 'Ann'), await sealer.seal(ben, 'Ben')]
    expect([await sealer.open(anns), await sealer.open(bens)]).toEqual(['Ann', 'Ben'])
    await sealer.forget(ann)
    await sealer.forget(ann)
    for (const each of [sealer, await opened()]) {
      expect([await each.open(anns), await each.open(bens)]).toEqual([undefined, 'Ben'])
      await expect(each.seal(ann, 'Ann again')).rejects.toThrow(ForgottenError)
    }
  })

  it('forgets somebody of whom nothing was ever sealed, and never the secrets', async () => {
    const sealer = await opened()
    const nobody = randomUUID()
    await sealer.forget(nobody)
    await expect(sealer.seal(nobody, 'x')).rejects.toThrow(ForgottenError)
    const secret = randomBytes(8).toString('hex')
    const sealed = await sealer.seal(SECRETS, secret)
    await expect(sealer.forget(SECRETS)).rejects.toThrow('nobody')
    expect(await sealer.open(sealed)).toBe(secret)
  })
})
