import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { digestOf, hexOf } from '../../../src/oci/digest.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { BlobStore } from '../../../src/ports/blob-store.ts'
import { openFileBlobStore } from '../../../src/storage/blobs/file.ts'
import { cachingBlobStore } from '../../../src/storage/blobs/memory-cache.ts'
import { seeded } from '../../support/random.ts'
import { add, content, describeBlobStore, fail } from './contract.ts'

describeBlobStore('blobs in files, read through memory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-cache-'))
  const reopen = async (minFreeBytes = 0) => cachingBlobStore(await openFileBlobStore({ folder, minFreeBytes }), { maxBytes: 10_000_000 })
  return {
    store: await reopen(),
    reopen,
    reopenFull: () => reopen(Number.MAX_SAFE_INTEGER),
    close: () => rm(folder, { recursive: true }),
  }
})

describe('blobs in memory', () => {
  let folder: string
  let files: BlobStore
  let reads: string[]
  let inner: BlobStore
  let gate: Promise<unknown> | undefined

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-cache-'))
    files = await openFileBlobStore({ folder, minFreeBytes: 0 })
    reads = []
    gate = undefined
    inner = {
      ...files,
      async read(digest) {
        const bytes = await files.read(digest)
        reads.push('read')
        await gate
        return bytes
      },
      async reader(digest) {
        reads.push('open')
        const reader = await files.reader(digest)
        return (
          reader && {
            ...reader,
            async read(first, memory) {
              reads.push(`${first}-${first + memory.length - 1}`)
              await gate
              return reader.read(first, memory)
            },
            async close() {
              reads.push('close')
              await reader.close()
            },
          }
        )
      },
    }
  })
  afterEach(() => rm(folder, { recursive: true }))

  const small = Buffer.from('0123456789')

  it('are looked at once by all who ask meanwhile, and anew after', async () => {
    const digest = await add(files, small)
    let looks = 0
    const store = cachingBlobStore({ ...inner, stat: (asked) => { looks += 1; return files.stat(asked) } }, { maxBytes: 1_000_000 })
    const found = await Promise.all(Array.from({ length: 50 }, () => store.stat(digest)))
    expect(new Set(found.map((stat) => stat?.sizeBytes))).toEqual(new Set([small.length]))
    expect(looks).toBe(1)
    await files.delete(digest)
    expect(await store.stat(digest)).toBeUndefined()
    expect(looks).toBe(2)
  })

  it('are looked at anew by who asks after a push, whatever was being looked at before', async () => {
    const digest = digestOf('sha256', small)
    const seen = Promise.withResolvers<undefined>()
    const slow: BlobStore = {
      ...inner,
      async stat(asked) {
        const found = await files.stat(asked)
        if (found === undefined) await seen.promise
        return found
      },
    }
    const store = cachingBlobStore(slow, { maxBytes: 1_000_000 })
    const before = store.stat(digest)
    expect(await store.put(digest, small)).toBe('stored')
    expect(await store.stat(digest)).toEqual({ digest, sizeBytes: small.length })
    seen.resolve(undefined)
    expect(await before).toBeUndefined()
  })

  it('are read once, however many ask at once and after', async () => {
    const digest = await add(files, small)
    const store = cachingBlobStore(inner, { maxBytes: 1_000_000 })
    const [whole, parts] = await Promise.all([
      Promise.all(Array.from({ length: 50 }, () => store.read(digest))),
      Promise.all(Array.from({ length: 50 }, (_, index) => content(store, digest, { first: index % 10, last: 9 }))),
    ])
    for (const bytes of whole) expect(bytes).toEqual(small)
    parts.forEach((bytes, index) => {
      expect(bytes).toEqual(small.subarray(index % 10))
    })
    expect(await content(store, digest)).toEqual(small)
    expect(reads).toEqual(['read'])
  })

  it('are small: larger ones are read by position', async () => {
    const store = cachingBlobStore(inner, { maxBytes: 1_000_000, maxBlobBytes: 9 })
    const digest = await add(files, small)
    expect(await content(store, digest)).toEqual(small)
    expect(await content(store, digest, { first: 2, last: 3 })).toEqual(Buffer.from('23'))
    expect(await store.read(digest)).toEqual(small)
    expect(reads).toEqual(['open', '0-9', 'close', 'read'])
  })

  it('take no more room than they are given, those asked for last', async () => {
    const store = cachingBlobStore(inner, { maxBytes: 10_000 })
    const [a, b, c] = [await add(files, Buffer.alloc(1000, 'a')), await add(files, Buffer.alloc(2000, 'b')), await add(files, Buffer.alloc(2000, 'c'))]
    for (const digest of [a, b, c, c, a]) await store.read(digest)
    expect(reads).toHaveLength(4)
  })

  it('may be none', async () => {
    const store = cachingBlobStore(inner, { maxBytes: 0 })
    const digest = await add(files, small)
    for (let round = 0; round < 2; round += 1) expect(await store.read(digest)).toEqual(small)
    expect(reads).toHaveLength(2)
  })

  it('do not remember a miss', async () => {
    const store = cachingBlobStore(inner, { maxBytes: 1_000_000 })
    const digest = digestOf('sha256', small)
    expect(await store.read(digest)).toBeUndefined()
    await add(files, small)
    expect(await store.read(digest)).toEqual(small)
  })

  it('do not remember a failure', async () => {
    const digest = await add(files, small)
    let broken = true
    const failing: BlobStore = { ...inner, read: (each) => (broken ? Promise.reject(new Error('disk')) : inner.read(each)) }
    const store = cachingBlobStore(failing, { maxBytes: 1_000_000 })
    await expect(Promise.all([store.read(digest), store.read(digest)])).rejects.toThrow('disk')
    broken = false
    expect(await store.read(digest)).toEqual(small)
  })

  it.each(['quarantine', 'delete'] as const)('go on %s, also when they were being read', async (verb) => {
    const digest = await add(files, small)
    const store = cachingBlobStore(inner, { maxBytes: 1_000_000 })
    const { promise, resolve } = Promise.withResolvers<undefined>()
    gate = promise
    const reading = store.read(digest)
    while (reads.length === 0) await new Promise(setImmediate)
    await store[verb](digest)
    resolve(undefined)
    expect(await reading).toEqual(small)
    expect(await store.read(digest)).toBeUndefined()
  })

  it.each(['commit', 'put'] as const)('go when a %s heals what they were read from', async (verb) => {
    const store = cachingBlobStore(inner, { maxBytes: 1_000_000 })
    const digest = await add(store, small)
    await truncate(join(folder, 'blobs/sha256', hexOf(digest).slice(0, 2), hexOf(digest)), 3)
    expect(await store.read(digest)).toEqual(Buffer.from('012'))
    if (verb === 'commit') await add(store, small)
    else await store.put(digest, small)
    expect(await store.read(digest)).toEqual(small)
  })

  it.each(['commit', 'put'] as const)('go when a %s heals what another process moved aside, whose size was right', async (verb) => {
    const store = cachingBlobStore(inner, { maxBytes: 1_000_000 })
    const digest = await add(store, small)
    await writeFile(join(folder, 'blobs/sha256', hexOf(digest).slice(0, 2), hexOf(digest)), Buffer.alloc(small.length, 'x'))
    expect(await store.read(digest)).toEqual(Buffer.alloc(small.length, 'x'))
    await files.quarantine(digest)
    if (verb === 'commit') await add(store, small)
    else await store.put(digest, small)
    expect(await store.read(digest)).toEqual(small)
  })

  const BLOCK = 256 * 1024
  const large = randomBytes(5 * BLOCK + 1000)

  it('that are large are read once by all who pull them at once, and no more while they fit', async () => {
    const digest = await add(files, large)
    const store = cachingBlobStore(inner, { maxBytes: 4 * large.length })
    const { promise, resolve } = Promise.withResolvers<undefined>()
    gate = promise
    const pulling = Array.from({ length: 30 }, (_, index) => content(store, digest, { first: index * 100, last: large.length - 1 - index }))
    while (!reads.includes('0-262143')) await new Promise(setImmediate)
    resolve(undefined)
    for (const [index, bytes] of (await Promise.all(pulling)).entries()) {
      expect(bytes.equals(large.subarray(index * 100, large.length - index))).toBe(true)
    }
    expect((await content(store, digest)).equals(large)).toBe(true)
    const blocks = Array.from({ length: 6 }, (_, index) => `${index * BLOCK}-${Math.min((index + 1) * BLOCK, large.length) - 1}`)
    expect(reads.filter((each) => each.includes('-')).sort()).toEqual(blocks.sort())
    expect(reads.filter((each) => each === 'close')).toHaveLength(reads.filter((each) => each === 'open').length)
  })

  it('that are large leave those that are small where they are', async () => {
    const [manifest, layer] = [await add(files, small), await add(files, large)]
    const store = cachingBlobStore(inner, { maxBytes: 4 * BLOCK })
    await store.read(manifest)
    for (let round = 0; round < 2; round += 1) expect((await content(store, layer)).equals(large)).toBe(true)
    await store.read(manifest)
    expect(reads.filter((each) => each === 'read')).toHaveLength(1)
    // They do not fit, so they are read again.
    expect(reads.filter((each) => each.includes('-'))).toHaveLength(12)
  })

  it('that are large go on to those who wait when the one who reads them leaves', async () => {
    const digest = await add(files, large)
    const store = cachingBlobStore(inner, { maxBytes: 4 * large.length })
    const leaving = (await store.open(digest))?.[Symbol.asyncIterator]()
    await leaving?.next()
    const staying = content(store, digest)
    await leaving?.return()
    expect((await staying).equals(large)).toBe(true)
  })

  /** Pulls as one who says of each piece that it was sent, after it looked at it once more. True where every byte was right. */
  async function send(store: BlobStore, digest: Digest, bytes: Buffer, turns: () => number): Promise<boolean> {
    const pieces = (await store.open(digest)) ?? fail()
    let right = true
    let at = 0
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next('sent')) {
      for (let left = turns(); left > 0; left -= 1) await new Promise(setImmediate)
      right &&= next.value.equals(bytes.subarray(at, at + next.value.length))
      at += next.value.length
    }
    return right && at === bytes.length
  }

  it.each([0, 1, 3])('that are large keep their bytes while somebody has them, whoever else reads, with room for %d', async (room) => {
    const random = seeded(room)
    const blobs = await Promise.all(
      Array.from({ length: 5 }, async (_, index) => {
        const bytes = randomBytes(4 * BLOCK + index)
        return { bytes, digest: await add(files, bytes) }
      }),
    )
    /** All reads that began are there in the same turn, so that one pushes the other out before those who wait have it. */
    let waiting: (() => void)[] = []
    const inStep: BlobStore = {
      ...files,
      reader: (digest) =>
        Promise.resolve({
          async read(first, memory) {
            await new Promise<void>((resolve) => {
              if (waiting.push(resolve) > 1) return
              setImmediate(() => {
                const all = waiting
                waiting = []
                for (const each of all) each()
              })
            })
            blobs.find((blob) => blob.digest === digest)?.bytes.copy(memory, 0, first)
            return memory
          },
          close: () => Promise.resolve(),
        }),
    }
    const store = cachingBlobStore(inStep, { maxBytes: 2 * room * (BLOCK + 512), maxBlobBytes: BLOCK })
    const readers = Array.from({ length: 60 }, async (_, index) => {
      const { bytes, digest } = blobs[index % blobs.length] ?? fail()
      // Some do not say it, and keep what they have until the end; some leave.
      if (index % 7 === 0) return (await content(store, digest)).equals(bytes)
      if (index % 7 === 1) {
        const pieces = (await store.open(digest)) ?? fail()
        const first = await pieces.next()
        await pieces.return()
        await send(store, digest, bytes, () => random.below(4))
        return first.done !== true && first.value.equals(bytes.subarray(0, BLOCK))
      }
      return send(store, digest, bytes, () => random.below(4))
    })
    expect(await Promise.all(readers)).toEqual(readers.map(() => true))
  })

  it.each(['quarantine', 'delete'] as const)('that are large go on %s', async (verb) => {
    const digest = await add(files, large)
    const store = cachingBlobStore(inner, { maxBytes: 4 * large.length })
    await content(store, digest)
    await store[verb](digest)
    expect(await store.open(digest)).toBeUndefined()
    const again = await add(store, large)
    expect((await content(store, again)).equals(large)).toBe(true)
    expect(reads.filter((each) => each.includes('-'))).toHaveLength(12)
  })
})
