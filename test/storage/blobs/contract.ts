import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Digest, DigestAlgorithm } from '../../../src/oci/digest.ts'
import { parseUploadId } from '../../../src/ports/blob-store.ts'
import type { BlobStore, ByteRange, UploadId } from '../../../src/ports/blob-store.ts'

export type Subject = {
  readonly store: BlobStore
  /** The same bytes in a new process: what was in memory is gone. */
  reopen(): Promise<BlobStore>
  /** The same bytes while free space is under the reserve. */
  reopenFull(): Promise<BlobStore>
  close(): Promise<void>
}

/** What every BlobStore does alike. */
export function describeBlobStore(name: string, factory: () => Promise<Subject>): void {
  describe(name, () => {
    let subject: Subject
    let store: BlobStore

    beforeAll(async () => {
      subject = await factory()
      store = subject.store
    })
    // A new folder for each test would be 512 folders, each synced.
    afterEach(async () => {
      for await (const { digest } of store.list()) await store.delete(digest)
      await store.purgeUploads(new Date(Date.now() + 60_000))
    })
    afterAll(() => subject.close())

    describe('an upload', () => {
      it.each(['sha256', 'sha512'] as const)('becomes a blob of %s, and is gone', async (algorithm) => {
        const id = await begin(store, algorithm)
        expect(await store.uploadSize(id)).toBe(0)
        expect(await store.append(id, 0, of('abc', 'def'))).toEqual({ status: 'appended', sizeBytes: 6 })
        expect(await store.append(id, 6, of('ghi'))).toEqual({ status: 'appended', sizeBytes: 9 })
        expect(await store.append(id, undefined, of('jkl'))).toEqual({ status: 'appended', sizeBytes: 12 })
        expect(await store.uploadSize(id)).toBe(12)
        const digest = digestOf(algorithm, Buffer.from('abcdefghijkl'))
        expect(await store.stat(digest)).toBeUndefined()
        expect(await store.commit(id, digest)).toEqual({ status: 'committed', sizeBytes: 12 })
        expect(await store.stat(digest)).toEqual({ digest, sizeBytes: 12 })
        expect(await content(store, digest)).toEqual(Buffer.from('abcdefghijkl'))
        expect(await store.uploadSize(id)).toBeUndefined()
        expect(await store.append(id, undefined, of('x'))).toEqual({ status: 'unknown-upload' })
        expect(await store.commit(id, digest)).toEqual({ status: 'unknown-upload' })
        expect(await store.cancel(id)).toBe(false)
      })

      it.each(['sha256', 'sha512'] as const)('hashed as it comes can be committed by another digest (%s)', async (algorithm) => {
        const id = await begin(store, algorithm === 'sha256' ? 'sha512' : 'sha256')
        await store.append(id, 0, of('abc'))
        expect(await store.commit(id, digestOf(algorithm, Buffer.from('abc')))).toMatchObject({ status: 'committed' })
      })

      it('may be empty, appended to or not', async () => {
        const digest = digestOf('sha256', Buffer.alloc(0))
        expect(await store.commit(await begin(store), digest)).toEqual({ status: 'committed', sizeBytes: 0 })
        expect(await content(store, digest)).toEqual(Buffer.alloc(0))
        expect(await store.read(digest)).toEqual(Buffer.alloc(0))
        expect(await store.stat(digest)).toEqual({ digest, sizeBytes: 0 })
        const id = await begin(store)
        expect(await store.append(id, 0, of())).toEqual({ status: 'appended', sizeBytes: 0 })
        expect(await store.append(id, 0, of(''))).toEqual({ status: 'appended', sizeBytes: 0 })
        expect(await store.commit(id, digest)).toEqual({ status: 'committed', sizeBytes: 0 })
      })

      it('gives one digest, however its bytes are cut', async () => {
        const bytes = randomBytes(3_000_000)
        const digest = digestOf('sha256', bytes)
        for (let round = 0; round < 10; round += 1) {
          const id = await begin(store)
          let offset = 0
          while (offset < bytes.length) {
            const end = offset + Math.floor(Math.random() * 1_500_000)
            const part = bytes.subarray(offset, end)
            await store.append(id, offset, cut(part))
            offset += part.length
          }
          expect(await store.commit(id, digest)).toEqual({ status: 'committed', sizeBytes: bytes.length })
        }
        expect(await content(store, digest)).toEqual(bytes)
      })

      it('takes chunks from a source that uses its buffer again', async () => {
        const id = await begin(store)
        const buffer = Buffer.alloc(1000)
        const source = (async function* () {
          for (let value = 0; value < 600; value += 1) {
            await setImmediate()
            yield buffer.fill(value % 256)
          }
        })()
        await store.append(id, 0, source)
        const expected = Buffer.concat(Array.from({ length: 600 }, (_, value) => Buffer.alloc(1000, value % 256)))
        expect(await store.commit(id, digestOf('sha256', expected))).toMatchObject({ status: 'committed' })
      })

      it('is told where it stands when the offset is another, and takes no byte', async () => {
        const id = await begin(store)
        await store.append(id, 0, of('abc'))
        for (const offset of [0, 2, 4]) {
          const source = counted('def')
          expect(await store.append(id, offset, source)).toEqual({ status: 'wrong-offset', sizeBytes: 3 })
          expect(source.asked).toBe(0)
        }
        expect(await store.uploadSize(id)).toBe(3)
      })

      it('stays open, its bytes kept, when the digest is another', async () => {
        const id = await begin(store)
        await store.append(id, 0, of('abc'))
        const wrong = digestOf('sha256', Buffer.from('abd'))
        expect(await store.commit(id, wrong)).toEqual({ status: 'digest-mismatch', actual: digestOf('sha256', Buffer.from('abc')) })
        expect(await store.stat(wrong)).toBeUndefined()
        expect(await store.uploadSize(id)).toBe(3)
        const other = digestOf('sha512', Buffer.from('abd'))
        expect(await store.commit(id, other)).toEqual({ status: 'digest-mismatch', actual: digestOf('sha512', Buffer.from('abc')) })
        await store.append(id, 3, of('d'))
        expect(await store.commit(id, digestOf('sha256', Buffer.from('abcd')))).toEqual({ status: 'committed', sizeBytes: 4 })
      })

      it('survives a restart, with and without more bytes after it', async () => {
        const [untouched, resumed] = [await begin(store), await begin(store, 'sha512')]
        for (const id of [untouched, resumed]) await store.append(id, 0, of('abc'))
        const next = await subject.reopen()
        expect(await next.uploadSize(untouched)).toBe(3)
        expect(await next.commit(untouched, digestOf('sha256', Buffer.from('abc')))).toEqual({ status: 'committed', sizeBytes: 3 })
        expect(await next.append(resumed, 3, of('def'))).toEqual({ status: 'appended', sizeBytes: 6 })
        expect(await next.commit(resumed, digestOf('sha512', Buffer.from('abcdef')))).toEqual({ status: 'committed', sizeBytes: 6 })
      })

      it('keeps the bytes that came before its source failed', async () => {
        const id = await begin(store)
        const failure = new Error('connection lost')
        await expect(store.append(id, 0, failing(failure, 'abc', 'def'))).rejects.toBe(failure)
        expect(await store.uploadSize(id)).toBe(6)
        expect(await store.append(id, 6, of('ghi'))).toEqual({ status: 'appended', sizeBytes: 9 })
        expect(await store.commit(id, digestOf('sha256', Buffer.from('abcdefghi')))).toMatchObject({ status: 'committed' })
      })

      it('keeps the bytes that came before its signal aborted, also while the source is silent', async () => {
        const id = await begin(store)
        const abort = new AbortController()
        const silent = stalled('abc')
        const appending = store.append(id, 0, silent, abort.signal)
        await silent.reached
        const reason = new Error('client gone')
        abort.abort(reason)
        await expect(appending).rejects.toBe(reason)
        expect(await store.uploadSize(id)).toBe(3)
        expect(await store.append(id, 3, of('d'))).toEqual({ status: 'appended', sizeBytes: 4 })
        await expect(store.append(id, 4, of('e'), abort.signal)).rejects.toBe(reason)
        await expect(store.commit(id, digestOf('sha256', Buffer.from('abcd')), abort.signal)).rejects.toBe(reason)
        expect(await store.commit(id, digestOf('sha256', Buffer.from('abcd')))).toMatchObject({ status: 'committed' })
      })

      it('has one writer at a time, and mixes no byte', async () => {
        const id = await begin(store)
        const slow = stalled('abc')
        const appending = store.append(id, 0, slow)
        await slow.reached
        const other = counted('xyz')
        expect(await store.append(id, undefined, other)).toEqual({ status: 'busy' })
        expect(other.asked).toBe(0)
        expect(await store.commit(id, digestOf('sha256', Buffer.from('abc')))).toEqual({ status: 'busy' })
        expect(await store.purgeUploads(new Date(Date.now() + 60_000))).toBe(0)
        slow.end()
        expect(await appending).toEqual({ status: 'appended', sizeBytes: 3 })
        expect(await store.commit(id, digestOf('sha256', Buffer.from('abc')))).toMatchObject({ status: 'committed' })
      })

      it('takes one of many that write at once', async () => {
        const id = await begin(store)
        const results = await Promise.all(['aaa', 'bbb', 'ccc', 'ddd'].map((text) => store.append(id, 0, of(text))))
        expect(results.map(({ status }) => status).sort()).toEqual(['appended', 'busy', 'busy', 'busy'])
        expect(await store.uploadSize(id)).toBe(3)
      })

      it('can be cancelled, also while somebody writes to it', async () => {
        const idle = await begin(store)
        await store.append(idle, 0, of('abc'))
        expect(await store.cancel(idle)).toBe(true)
        expect(await store.cancel(idle)).toBe(false)
        expect(await store.uploadSize(idle)).toBeUndefined()
        const id = await begin(store)
        const slow = stalled('abc')
        const appending = store.append(id, 0, slow)
        await slow.reached
        expect(await store.cancel(id)).toBe(true)
        expect(await appending).toEqual({ status: 'unknown-upload' })
        expect(await store.uploadSize(id)).toBeUndefined()
      })

      it('is unknown where nobody opened it', async () => {
        const id = parseUploadId('00000000-0000-4000-8000-000000000000') ?? fail()
        expect(await store.uploadSize(id)).toBeUndefined()
        expect(await store.append(id, 0, of('a'))).toEqual({ status: 'unknown-upload' })
        expect(await store.commit(id, digestOf('sha256', Buffer.from('a')))).toEqual({ status: 'unknown-upload' })
        expect(await store.cancel(id)).toBe(false)
        expect(await store.uploadSize(id)).toBeUndefined()
      })

      it('is purged once nobody has touched it for long', async () => {
        const id = await begin(store)
        await store.append(id, 0, of('abc'))
        expect(await store.purgeUploads(new Date(Date.now() - 60_000))).toBe(0)
        expect(await store.uploadSize(id)).toBe(3)
        expect(await store.purgeUploads(new Date(Date.now() + 60_000))).toBe(1)
        expect(await store.uploadSize(id)).toBeUndefined()
      })
    })

    describe('a blob', () => {
      it('may be committed by many at once, and stays as the first left it', async () => {
        const digest = digestOf('sha256', Buffer.from('same'))
        const ids = await Promise.all(Array.from({ length: 8 }, () => begin(store)))
        const results = await Promise.all(
          ids.map(async (id) => {
            await store.append(id, 0, of('same'))
            return store.commit(id, digest)
          }),
        )
        for (const result of results) expect(result).toEqual({ status: 'committed', sizeBytes: 4 })
        expect(await content(store, digest)).toEqual(Buffer.from('same'))
        for (const id of ids) expect(await store.uploadSize(id)).toBeUndefined()
      })

      it.each([
        ['small', 100],
        ['of several pieces', 1_000_000],
        ['of whole pieces', 512 * 1024],
      ])('that is %s gives any range', async (_case, size) => {
        const bytes = randomBytes(size)
        const digest = await add(store, bytes)
        const ranges = [[0, 0], [0, size - 1], [size - 1, size - 1], [1, size - 2], [size >> 1, (size >> 1) + 9]] as const
        for (const [first, last] of ranges) {
          expect((await content(store, digest, { first, last })).equals(bytes.subarray(first, last + 1))).toBe(true)
        }
        await expect(store.open(digest, { first: 0, last: size })).rejects.toThrow(RangeError)
      })

      it('may be read by one who stops early, or never begins', async () => {
        const bytes = randomBytes(2_000_000)
        const digest = await add(store, bytes)
        for (let round = 0; round < 50; round += 1) {
          await store.open(digest)
          for await (const piece of (await store.open(digest)) ?? fail()) {
            expect(piece.equals(bytes.subarray(0, piece.length))).toBe(true)
            break
          }
        }
        expect((await content(store, digest)).equals(bytes)).toBe(true)
      })

      it('hands out pieces that stay as they are while the next ones come', async () => {
        const bytes = randomBytes(1_000_000)
        const pieces: Buffer[] = []
        for await (const piece of (await store.open(await add(store, bytes))) ?? fail()) pieces.push(piece)
        expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
      })

      it('that is absent is undefined', async () => {
        const digest = digestOf('sha512', Buffer.from('absent'))
        expect(await store.stat(digest)).toBeUndefined()
        expect(await store.read(digest)).toBeUndefined()
        expect(await store.open(digest)).toBeUndefined()
        expect(await store.open(digest, { first: 0, last: 1 })).toBeUndefined()
        await store.delete(digest)
      })

      it('put whole is stored once', async () => {
        const bytes = Buffer.from('{}')
        for (const algorithm of ['sha256', 'sha512'] as const) {
          const digest = digestOf(algorithm, bytes)
          expect(await Promise.all([store.put(digest, bytes), store.put(digest, bytes)])).toEqual(['stored', 'stored'])
          expect(await store.put(digest, bytes)).toBe('stored')
          expect(await store.read(digest)).toEqual(bytes)
        }
        await expect(store.put(digestOf('sha256', bytes), Buffer.from('[]'))).rejects.toThrow('not sha256:')
        const empty = digestOf('sha256', Buffer.alloc(0))
        expect(await store.put(empty, Buffer.alloc(0))).toBe('stored')
        expect(await store.read(empty)).toEqual(Buffer.alloc(0))
      })

      it('stands in the list, of either algorithm', async () => {
        const digests = [
          await add(store, Buffer.from('a')), await add(store, Buffer.from('bc'), 'sha512'), await add(store, Buffer.alloc(0)),
        ]
        await begin(store)
        const listed = await collect(store.list())
        expect(listed.map(({ digest }) => digest).sort()).toEqual(digests.toSorted())
        expect(listed.find(({ digest }) => digest === digests[1])?.sizeBytes).toBe(2)
      })

      it('set aside or deleted is absent until the next push', async () => {
        const bytes = Buffer.from('abc')
        const digest = await add(store, bytes)
        expect(await store.read(digest)).toEqual(bytes)
        const first = await store.quarantine(digest)
        expect(await store.read(digest)).toBeUndefined()
        expect(await store.open(digest)).toBeUndefined()
        await add(store, bytes)
        expect(await store.read(digest)).toEqual(bytes)
        expect(await store.quarantine(digest)).not.toBe(first)
        await store.put(digest, bytes)
        await store.delete(digest)
        expect(await store.stat(digest)).toBeUndefined()
        expect(await store.read(digest)).toBeUndefined()
        await expect(store.quarantine(digest)).rejects.toThrow()
      })
    })

    it('refuses uploads while free space is under the reserve, and still reads and deletes', async () => {
      const kept = await add(store, Buffer.from('kept'))
      const id = await begin(store)
      await store.append(id, 0, of('abc'))
      const full = await subject.reopenFull()
      expect(await full.openUpload('sha256')).toBe('no-space')
      const source = counted('def')
      expect(await full.append(id, 3, source)).toEqual({ status: 'no-space' })
      expect(source.asked).toBe(0)
      const bytes = Buffer.from('manifest')
      expect(await full.put(digestOf('sha256', bytes), bytes)).toBe('no-space')
      expect(await full.put(kept, Buffer.from('kept'))).toBe('stored')
      expect(await full.read(kept)).toEqual(Buffer.from('kept'))
      expect(await full.commit(id, digestOf('sha256', Buffer.from('abc')))).toMatchObject({ status: 'committed' })
      await full.delete(kept)
      expect(await full.stat(kept)).toBeUndefined()
    })
  })
}

export async function begin(store: BlobStore, algorithm: DigestAlgorithm = 'sha256'): Promise<UploadId> {
  const id = await store.openUpload(algorithm)
  if (id === 'no-space') throw new Error('no space for an upload')
  return id
}

export async function add(store: BlobStore, bytes: Buffer, algorithm: DigestAlgorithm = 'sha256'): Promise<Digest> {
  const digest = digestOf(algorithm, bytes)
  const id = await begin(store, algorithm)
  await store.append(id, 0, cut(bytes))
  expect(await store.commit(id, digest)).toEqual({ status: 'committed', sizeBytes: bytes.length })
  return digest
}

export async function content(store: BlobStore, digest: Digest, range?: ByteRange): Promise<Buffer> {
  const source = await store.open(digest, range)
  if (source === undefined) throw new Error(`${digest} is absent`)
  return Buffer.concat(await collect(source))
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of source) all.push(each)
  return all
}

/** A source of these texts. */
export async function* of(...texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) {
    await setImmediate()
    yield Buffer.from(text)
  }
}

async function* failing(failure: Error, ...texts: readonly string[]): AsyncGenerator<Buffer> {
  yield* of(...texts)
  throw failure
}

/** A source that gives one text, and then nothing until it is told to end. */
function stalled(text: string) {
  const reached = Promise.withResolvers<undefined>()
  const ended = Promise.withResolvers<undefined>()
  const source = (async function* () {
    yield Buffer.from(text)
    reached.resolve(undefined)
    await ended.promise
  })()
  const end = () => {
    ended.resolve(undefined)
  }
  return Object.assign(source, { reached: reached.promise, end })
}

/** A source that says whether anybody asked it for bytes. */
function counted(text: string): AsyncIterable<Buffer> & { readonly asked: number } {
  return {
    asked: 0,
    [Symbol.asyncIterator]() {
      Object.assign(this, { asked: this.asked + 1 })
      return of(text)
    },
  }
}

async function* cut(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    await setImmediate()
    const part = bytes.subarray(start, start + Math.floor(Math.random() * 400_000))
    start += part.length
    yield part
  }
}

export function fail(): never {
  throw new Error('absent')
}
