import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectSecurely } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createDirectConnections } from '../../../src/api/direct/connections.ts'
import { createOciHandler } from '../../../src/api/oci/http.ts'
import type { OciAnswerer } from '../../../src/api/oci/router.ts'
import { startHttpServer } from '../../../src/api/server.ts'
import type { HttpServer } from '../../../src/api/server.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { BlobStore } from '../../../src/ports/blob-store.ts'
import { openFileBlobStore } from '../../../src/storage/blobs/file.ts'
import { cachingBlobStore } from '../../../src/storage/blobs/memory-cache.ts'
import { add } from '../../storage/blobs/contract.ts'
import { one } from '../../support/certificates.ts'
import { temporaryFiles } from '../../support/files.ts'
import { seeded } from '../../support/random.ts'

const write = temporaryFiles()
const tls = { certFile: write('cert.pem', one.cert), keyFile: write('key.pem', one.key) }

const BLOCK = 256 * 1024
/** More than the buffers of a connection's two ends take, so that who stands still is in the middle of a write. */
const BLOBS = Array.from({ length: 4 }, (_, index) => randomBytes(64 * BLOCK + 1000 * index))
const BLOCKS_KEPT = 3

let folder: string
let files: BlobStore
let digests: Digest[]
/** Where each block was read to. */
const memories = new Set<ArrayBufferLike>()
let reads = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-pulls-'))
  files = await openFileBlobStore({ folder, minFreeBytes: 0 })
  digests = []
  for (const bytes of BLOBS) digests.push(await add(files, bytes))
})
afterAll(() => rm(folder, { recursive: true }))

const counting = (store: BlobStore): BlobStore => ({
  ...store,
  async reader(digest) {
    const reader = await store.reader(digest)
    return (
      reader && {
        ...reader,
        read(first, memory) {
          reads += 1
          memories.add(memory.buffer)
          return reader.read(first, memory)
        },
      }
    )
  },
})

/** Answers `/v2/<index of a blob>` from a cache that keeps a few blocks. */
function start(secure: boolean): Promise<HttpServer> {
  const store = cachingBlobStore(counting(files), { maxBytes: 2 * (BLOCKS_KEPT * (BLOCK + 512)) })
  const answer: OciAnswerer = async ({ url = '', headers }) => {
    const index = Number(url.slice('/v2/'.length))
    const size = BLOBS[index]?.length ?? 0
    const [first = 0, last = size - 1] = (headers.range?.match(/\d+/g) ?? []).map(Number)
    const [digest] = digests.slice(index)
    const bytes = digest && (await store.open(digest, { first, last }))
    return bytes === undefined ? { status: 404 } : { status: 200, stream: { bytes, sizeBytes: last - first + 1 } }
  }
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const handle = createOciHandler(answer, log)
  return startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls: secure ? tls : undefined,
    log,
    handler: (request, response) => void handle(request, response),
    direct: (connections) => createDirectConnections({ ...connections, answer, metrics: { began: () => () => undefined }, logger: log }),
  })
}

function opened({ url }: HttpServer): Socket {
  const { protocol, port } = new URL(url)
  const at = { host: '127.0.0.1', port: Number(port) }
  return protocol === 'https:' ? connectSecurely({ ...at, rejectUnauthorized: false }) : connect(at)
}

type Pull = {
  readonly index: number
  readonly range?: readonly [first: number, last: number]
  /** By node:http, or on the connection. */
  readonly viaHttp: boolean
  /** After how many bytes it reads on only when this has come. */
  readonly pause?: { readonly after: number; readonly until: Promise<unknown> }
  /** After how many bytes it leaves. */
  readonly leaves?: number
}

/** Compares each byte as it comes. Answers how many came, and the first place that was wrong. */
async function pull(server: HttpServer, { index, range, viaHttp, pause, leaves = Infinity }: Pull): Promise<{ readonly came: number; readonly wrongAt?: number }> {
  const whole = BLOBS[index] ?? Buffer.alloc(0)
  const expected = range === undefined ? whole : whole.subarray(range[0], range[1] + 1)
  const socket = opened(server)
  const lines = [`GET /v2/${index} HTTP/1.1`, 'Host: h', 'Connection: close', ...(range === undefined ? [] : [`Range: bytes=${range.join('-')}`])]
  socket.write([...lines, ...(viaHttp ? ['TE: trailers'] : []), '', ''].join('\r\n'))
  let head: Buffer | undefined = Buffer.alloc(0)
  let came = 0
  let waiting = pause
  for await (const piece of socket as AsyncIterable<Buffer>) {
    let body = piece
    if (head !== undefined) {
      head = Buffer.concat([head, piece])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) continue
      body = head.subarray(end + 4)
      head = undefined
    }
    if (!body.equals(expected.subarray(came, came + body.length))) return { came, wrongAt: came + body.findIndex((byte, at) => byte !== expected[came + at]) }
    came += body.length
    if (came >= leaves) break
    if (waiting !== undefined && came >= waiting.after) {
      await waiting.until
      waiting = undefined
    }
  }
  socket.destroy()
  return { came }
}

describe.each([['in the clear', false], ['over TLS', true]])('large blobs %s', (_, secure) => {
  test('come as they are to everybody, fast or slow, while their memory is used again', async () => {
    const server = await start(secure)
    reads = 0
    memories.clear()
    const random = seeded(secure ? 2 : 1)
    const { promise: fastOnesEnd, resolve: letGoOn } = Promise.withResolvers<undefined>()
    const some = (count: number, viaHttp: boolean, more: () => Partial<Pull>): Pull[] =>
      Array.from({ length: count }, (_, at) => ({ index: at % BLOBS.length, viaHttp, ...more() }))
    const range = (): readonly [number, number] => {
      const first = random.below(32 * BLOCK)
      return [first, first + random.below(32 * BLOCK)]
    }
    const kinds = [false, true].flatMap((viaHttp) => ({
      slow: some(4, viaHttp, () => ({ pause: { after: random.below(BLOCK), until: fastOnesEnd } })),
      fast: [
        ...some(6, viaHttp, () => ({})),
        ...some(8, viaHttp, () => ({ range: range() })),
        ...some(8, viaHttp, () => ({ leaves: random.below(40 * BLOCK) })),
      ],
    }))
    const of = (pulls: readonly Pull[]) => pulls.map(async (each) => ({ ...(await pull(server, each)), each }))
    const slow = of(kinds.flatMap((kind) => kind.slow))
    const fast = of(kinds.flatMap((kind) => kind.fast))
    const ended = await Promise.all(fast)
    letGoOn(undefined)
    ended.push(...(await Promise.all(slow)))
    await server.close(0)

    for (const { came, wrongAt, each } of ended) {
      expect([each, wrongAt]).toEqual([each, undefined])
      if (each.leaves === undefined) expect(came).toBe(each.range === undefined ? BLOBS[each.index]?.length : each.range[1] - each.range[0] + 1)
    }
    // Far more was read than is kept.
    expect(reads).toBeGreaterThan(64 * BLOBS.length)
    expect(memories.size).toBeLessThan(reads / 2)
  })

  test('need no more memory than is kept, and what is under way', async () => {
    const server = await start(secure)
    for (const viaHttp of [false, true]) {
      reads = 0
      memories.clear()
      expect(await pull(server, { index: 0, viaHttp })).toEqual({ came: 64 * BLOCK })
      expect(reads).toBe(64)
      // What is kept, and what is being sent while the next is read.
      expect(memories.size).toBeLessThanOrEqual(BLOCKS_KEPT + 2)
    }
    await server.close(0)
  })
})
