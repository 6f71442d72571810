import { randomBytes } from 'node:crypto'
import { link, mkdtemp, open, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { digestOf, hexOf } from '../../../src/oci/digest.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { BlobStore } from '../../../src/ports/blob-store.ts'
import { openFileBlobStore } from '../../../src/storage/blobs/file.ts'
import { add, begin, collect, content, describeBlobStore, of } from './contract.ts'

describeBlobStore('blobs in files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-blobs-'))
  return {
    store: await openFileBlobStore({ folder, minFreeBytes: 0 }),
    reopen: () => openFileBlobStore({ folder, minFreeBytes: 0 }),
    reopenFull: () => openFileBlobStore({ folder, minFreeBytes: Number.MAX_SAFE_INTEGER }),
    close: () => rm(folder, { recursive: true }),
  }
})

/** The one of `write`'s overloads that stores use, without `this`, since it is called with the handle at hand. */
type Write = (this: unknown, bytes: Uint8Array, start?: number, length?: number) => Promise<{ bytesWritten: number; buffer: Uint8Array }>
type WrittenHandle = Pick<FileHandle, 'read' | 'sync' | 'datasync'> & { write: Write }

describe('the files of blobs', () => {
  let folder: string
  let store: BlobStore
  /** Every file handle's prototype: what is done with files can be counted, or made to fail, there. */
  let handles: WrittenHandle

  beforeAll(async () => {
    const file = await open('/dev/null')
    handles = Object.getPrototypeOf(file) as WrittenHandle
    await file.close()
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-blobs-'))
    store = await openFileBlobStore({ folder, minFreeBytes: 0 })
  })
  afterEach(async () => {
    jest.restoreAllMocks()
    await rm(folder, { recursive: true })
  })
  const openBefore = openDescriptors()
  afterAll(async () => {
    expect((await openDescriptors()).length).toBeLessThanOrEqual((await openBefore).length)
  })

  const pathOf = (digest: Digest) => join(folder, 'blobs/sha256', hexOf(digest).slice(0, 2), hexOf(digest))

  it('lie below the first two digits of their digest, and all these folders are there', async () => {
    const digest = await add(store, Buffer.from('abc'))
    expect(await readFile(pathOf(digest), 'utf8')).toBe('abc')
    for (const algorithm of ['sha256', 'sha512']) expect(await readdir(join(folder, 'blobs', algorithm))).toHaveLength(256)
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
  })

  it('are healed by the next push where they have another size, and only there', async () => {
    const bytes = Buffer.from('abcdef')
    const digest = await add(store, bytes)
    await truncate(pathOf(digest), 3)
    await add(store, bytes)
    expect(await content(store, digest)).toEqual(bytes)
    await truncate(pathOf(digest), 3)
    await store.put(digest, bytes)
    expect(await content(store, digest)).toEqual(bytes)
    const { ino } = await stat(pathOf(digest))
    await add(store, bytes)
    await store.put(digest, bytes)
    expect((await stat(pathOf(digest))).ino).toBe(ino)
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
  })

  it('are not written to through an upload that a crash left behind its commit', async () => {
    const bytes = Buffer.from('abc')
    const id = await begin(store)
    await store.append(id, 0, of('abc'))
    const digest = digestOf('sha256', bytes)
    await link(join(folder, 'uploads', id), pathOf(digest))
    const next = await openFileBlobStore({ folder, minFreeBytes: 0 })
    expect(await next.append(id, undefined, of('x'))).toEqual({ status: 'unknown-upload' })
    expect(await content(next, digest)).toEqual(bytes)
    expect(await next.commit(id, digest)).toEqual({ status: 'committed', sizeBytes: 3 })
    expect(await next.uploadSize(id)).toBeUndefined()
    expect(await content(next, digest)).toEqual(bytes)
  })

  it('are of the bytes on the disk, if somebody else wrote there', async () => {
    const id = await begin(store)
    await store.append(id, 0, of('abc'))
    await writeFile(join(folder, 'uploads', id), 'd', { flag: 'a' })
    const wrong = digestOf('sha256', Buffer.from('abc'))
    expect(await store.commit(id, wrong)).toMatchObject({ status: 'digest-mismatch' })
    expect(await store.append(id, undefined, of('e'))).toEqual({ status: 'appended', sizeBytes: 5 })
    expect(await store.commit(id, digestOf('sha256', Buffer.from('abcde')))).toMatchObject({ status: 'committed' })
  })

  it('keep what was written when the disk fills up, and take the rest later', async () => {
    const bytes = randomBytes(600 * 1024)
    const id = await begin(store)
    const real = handles.write
    const write = jest.spyOn(handles, 'write')
    write.mockImplementationOnce(real).mockImplementationOnce(async function (this: unknown) {
      await real.call(this, Buffer.alloc(1000))
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    })
    expect(await store.append(id, 0, pieces(bytes))).toEqual({ status: 'no-space' })
    expect(await store.uploadSize(id)).toBe(256 * 1024)
    expect(await store.append(id, 256 * 1024, pieces(bytes.subarray(256 * 1024)))).toEqual({ status: 'appended', sizeBytes: bytes.length })
    expect(await store.commit(id, digestOf('sha256', bytes))).toMatchObject({ status: 'committed' })
  })

  it('are hashed as they come: no byte is read again, however many requests brought them', async () => {
    const bytes = randomBytes(900 * 1024)
    const id = await begin(store)
    const read = jest.spyOn(handles, 'read')
    await store.append(id, 0, pieces(bytes.subarray(0, 300_000)))
    await store.append(id, 300_000, pieces(bytes.subarray(300_000)))
    expect(await store.commit(id, digestOf('sha256', bytes))).toMatchObject({ status: 'committed' })
    expect(read).not.toHaveBeenCalled()
  })

  it('are added to by the next request while the one before only finishes', async () => {
    const id = await begin(store)
    const real = handles.write
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const write = jest.spyOn(handles, 'write').mockImplementationOnce(async function (this: unknown, bytes, start) {
      await promise
      return real.call(this, bytes, start)
    })
    const first = store.append(id, 0, of('abc'))
    while (write.mock.calls.length === 0) await new Promise(setImmediate)
    const size = store.uploadSize(id)
    const second = store.append(id, 3, of('de'))
    const third = store.commit(id, digestOf('sha256', Buffer.from('abcde')))
    resolve(undefined)
    expect(await first).toEqual({ status: 'appended', sizeBytes: 3 })
    // What a client is told is where its next request may begin.
    expect(await size).toBeGreaterThanOrEqual(3)
    expect(await second).toEqual({ status: 'appended', sizeBytes: 5 })
    // Two waited, and the one that came first went first: the other met it at work.
    expect(await third).toEqual({ status: 'busy' })
    expect(await store.commit(id, digestOf('sha256', Buffer.from('abcde')))).toMatchObject({ status: 'committed' })
  })

  it.each(['sync', 'datasync'] as const)('are given up where %s fails, since a later one would not tell of what was lost', async (call) => {
    const bytes = randomBytes(40 * 1024 * 1024)
    const id = await begin(store)
    jest.spyOn(handles, call).mockRejectedValueOnce(Object.assign(new Error('input/output error'), { code: 'EIO' }))
    const pushed = store.append(id, 0, pieces(bytes)).then(() => store.commit(id, digestOf('sha256', bytes)))
    await expect(pushed).rejects.toThrow('input/output error')
    expect(await store.uploadSize(id)).toBeUndefined()
    expect(await store.stat(digestOf('sha256', bytes))).toBeUndefined()
  })

  it('are whole though a write takes only a part of what it is given', async () => {
    const bytes = randomBytes(600 * 1024)
    const id = await begin(store)
    const real = handles.write
    jest.spyOn(handles, 'write').mockImplementation(function (this: unknown, buffer, start = 0) {
      return real.call(this, buffer, start, Math.min(100_000, buffer.length - start))
    })
    await store.append(id, 0, pieces(bytes))
    expect(await store.commit(id, digestOf('sha256', bytes))).toMatchObject({ status: 'committed' })
    expect((await content(store, digestOf('sha256', bytes))).equals(bytes)).toBe(true)
  })

  it('are written 256 KiB at a time, and committed without being read again', async () => {
    const bytes = randomBytes(1024 * 1024)
    const write = jest.spyOn(handles, 'write')
    const read = jest.spyOn(handles, 'read')
    const sync = jest.spyOn(handles, 'sync')
    const id = await begin(store)
    await store.append(id, 0, pieces(bytes))
    expect(write).toHaveBeenCalledTimes(4)
    expect(sync).not.toHaveBeenCalled()
    await store.commit(id, digestOf('sha256', bytes))
    expect(read).not.toHaveBeenCalled()
    // The file before it gets its name, and the folder after.
    expect(sync).toHaveBeenCalledTimes(2)
  })

  it('are read no further than one piece ahead', async () => {
    const digest = await add(store, randomBytes(4 * 1024 * 1024))
    const read = jest.spyOn(handles, 'read')
    const source = await store.open(digest)
    expect(read).not.toHaveBeenCalled()
    const reader = source?.[Symbol.asyncIterator]()
    expect((await reader?.next())?.done).toBe(false)
    expect(read).toHaveBeenCalledTimes(2)
    await reader?.return()
    expect(read).toHaveBeenCalledTimes(2)
  })

  it('that end too early are an error, not a shorter blob', async () => {
    const digest = await add(store, randomBytes(1_000_000))
    const source = await store.open(digest)
    await truncate(pathOf(digest), 500_000)
    await expect(content(store, digest, { first: 0, last: 499_999 })).resolves.toHaveLength(500_000)
    if (source === undefined) throw new Error('absent')
    await expect(collect(source)).rejects.toThrow('ended at 500000')
  })

  it('set aside lie in quarantine', async () => {
    const digest = await add(store, Buffer.from('abc'))
    const path = await store.quarantine(digest)
    expect(path.startsWith(join(folder, 'quarantine', `sha256-${hexOf(digest)}`))).toBe(true)
    expect(await readFile(path, 'utf8')).toBe('abc')
  })

  it('that a put left half done are purged too, and strangers are not listed', async () => {
    await writeFile(join(folder, 'uploads/put-x'), 'x')
    await writeFile(join(folder, 'blobs/sha256/00/stranger'), 'x')
    expect(await store.purgeUploads(new Date(Date.now() + 60_000))).toBe(0)
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
    expect(await collect(store.list())).toEqual([])
  })
})

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += 64 * 1024) {
    await Promise.resolve()
    yield bytes.subarray(start, start + 64 * 1024)
  }
}

function openDescriptors(): Promise<string[]> {
  return readdir('/proc/self/fd').catch(() => [])
}
