import { randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { loadMasterKey, openFileKeyStore } from '../../../src/storage/keys/file.ts'
import { describeKeyStore, newKeyId } from './contract.ts'

const masterKey = randomBytes(32)

describeKeyStore('keys in files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-keys-'))
  const reopen = () => openFileKeyStore({ folder, masterKey })
  return { store: await reopen(), reopen, close: () => rm(folder, { recursive: true }) }
})

describe('the files of keys', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-keys-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('are wrapped, private, and alone', async () => {
    const [id, key] = [newKeyId(), randomBytes(32)]
    const store = await openFileKeyStore({ folder, masterKey })
    expect(await readdir(join(folder, 'keys'))).toHaveLength(256)
    await store.create(id, key)
    await store.create(id, key)
    const path = join(folder, 'keys', id.slice(0, 2), id)
    expect(await readdir(join(path, '..'))).toEqual([id])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readFile(path)).includes(key)).toBe(false)
    await store.forget(id)
    expect(await readdir(join(path, '..'))).toEqual([id])
    expect(await readFile(path, 'utf8')).toBe('forgotten')
  })

  it('name the key that the master key does not fit', async () => {
    const [id, other] = [newKeyId(), newKeyId()]
    const store = await openFileKeyStore({ folder, masterKey })
    await store.create(id, randomBytes(32))
    const stranger = await openFileKeyStore({ folder, masterKey: randomBytes(32) })
    await expect(stranger.get(id)).rejects.toThrow(`key ${id} cannot be unwrapped: the master key does not fit`)
    const path = join(folder, 'keys', id.slice(0, 2), id)
    // A key in another's place does not pass for it.
    await copyFile(path, join(folder, 'keys', other.slice(0, 2), other))
    await expect(store.get(other)).rejects.toThrow(other)
    for (const bytes of [Buffer.alloc(0), Buffer.from('x'), (await readFile(path)).subarray(0, 40)]) {
      await writeFile(path, bytes)
      await expect(store.get(id)).rejects.toThrow(id)
    }
  })

  it('lie in memory of their own, and keep nothing else there', async () => {
    const id = newKeyId()
    const store = await openFileKeyStore({ folder, masterKey })
    await store.create(id, randomBytes(32))
    const stored = await store.get(id)
    expect(stored.status === 'present' && stored.key.buffer.byteLength).toBe(32)
  })

  it('leave nothing of a forgotten key that a crash left under another name', async () => {
    const id = newKeyId()
    const store = await openFileKeyStore({ folder, masterKey })
    await store.create(id, randomBytes(32))
    const path = join(folder, 'keys', id.slice(0, 2), id)
    await rename(path, `${path}.left`)
    await store.forget(id)
    expect(await readdir(join(path, '..'))).toEqual([id])
  })
})

describe('the master key', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-master-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('is made once, for its owner only', async () => {
    const path = join(folder, 'master.key')
    const keys = await Promise.all(Array.from({ length: 5 }, () => loadMasterKey(path)))
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1)
    expect(keys[0]).toHaveLength(32)
    expect(await loadMasterKey(path)).toEqual(keys[0])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['master.key'])
    expect((await readFile(path, 'utf8')).trim()).toBe(keys[0]?.toString('base64'))
  })

  it.each(['', 'abc', Buffer.alloc(31).toString('base64'), `${Buffer.alloc(32).toString('base64')}!`])('is not read from %j', async (text) => {
    const path = join(folder, 'master.key')
    await writeFile(path, text)
    await expect(loadMasterKey(path)).rejects.toThrow(path)
    expect(await readFile(path, 'utf8')).toBe(text)
  })
})
