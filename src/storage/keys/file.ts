import { randomBytes, randomUUID } from 'node:crypto'
import { readFile, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { KeyId, KeyStore, StoredKey } from '../../ports/key-store.ts'
import { createDurably, ignoring, makeFanout, syncFolder, writeSynced } from '../durable.ts'
import { aesGcmOpen, aesGcmSeal, keyIdBytes } from '../seal.ts'

/** A wrapped key is 1 ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16), with the key's id as associated data. */
const VERSION = 1
const KEY_BYTES = 32
const TOMBSTONE = Buffer.from('forgotten')

/** Keys as files `keys/<2 hex>/<id>`, each wrapped (AES-256-GCM) under the master key. */
export async function openFileKeyStore(options: { readonly folder: string; readonly masterKey: Buffer }): Promise<KeyStore> {
  const { masterKey } = options
  const folder = join(options.folder, 'keys')
  await makeFanout(folder)
  const pathOf = (id: KeyId) => join(folder, id.slice(0, 2), id)

  return {
    create(id, key) {
      if (key.length !== KEY_BYTES) throw new Error(`a key has ${KEY_BYTES} bytes, not ${key.length}`)
      return createDurably(pathOf(id), Buffer.concat([Buffer.of(VERSION), aesGcmSeal(masterKey, keyIdBytes(id), key)]))
    },

    async get(id): Promise<StoredKey> {
      const bytes = await ignoring(['ENOENT'], readFile(pathOf(id)))
      if (bytes === undefined) return { status: 'absent' }
      if (bytes.equals(TOMBSTONE)) return { status: 'forgotten' }
      return { status: 'present', key: unwrap(id, bytes) }
    },

    async forget(id) {
      const path = pathOf(id)
      const temporary = `${path}.${randomUUID()}`
      try {
        await writeSynced(temporary, TOMBSTONE)
        await rename(temporary, path)
      } finally {
        await rm(temporary, { force: true })
      }
      // A crash in `create` may have left the key under a temporary name, where it would outlive its tombstone.
      const names = await readdir(dirname(path))
      await Promise.all(names.filter((name) => name.startsWith(`${id}.`)).map((name) => rm(join(dirname(path), name), { force: true })))
      await syncFolder(dirname(path))
    },
  }

  function unwrap(id: KeyId, bytes: Buffer): Buffer {
    try {
      if (bytes[0] !== VERSION) throw new Error('unknown version')
      // In memory of its own: what decrypts hands out a piece of one of Node's slabs, and a key that is remembered would keep all 64 KiB.
      const key = aesGcmOpen(masterKey, keyIdBytes(id), bytes.subarray(1))
      return Buffer.alloc(key.length, key)
    } catch (cause) {
      throw new Error(`key ${id} cannot be unwrapped: the master key does not fit, or the file is damaged`, { cause })
    }
  }
}

/** Reads the master key, 32 bytes as a line of base64, and makes it (readable by its owner only) where there is none. */
export async function loadMasterKey(path: string): Promise<Buffer> {
  let text = await ignoring(['ENOENT'], readFile(path, 'utf8'))
  if (text === undefined) {
    await createDurably(path, Buffer.from(`${randomBytes(KEY_BYTES).toString('base64')}\n`))
    // What another process made in the meantime is the key.
    text = await readFile(path, 'utf8')
  }
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length !== KEY_BYTES || key.toString('base64') !== text.trim()) {
    throw new Error(`the master key file ${path} does not hold ${KEY_BYTES} bytes as base64`)
  }
  return key
}
