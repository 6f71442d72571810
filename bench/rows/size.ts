import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { requestText } from '../client/connection.ts'
import { httpClient } from '../client/http.ts'
import { contentOf, pushWhole } from '../client/push.ts'
import type { Content } from '../client/push.ts'
import { peakMiB, resetPeak, residentMiB } from '../processes.ts'
import type { Registry } from '../registry.ts'
import type { Figures } from '../results.ts'
import type { Row } from '../row.ts'
import { startOwn } from '../varve.ts'

const REPOSITORY = 'library/large'
const CACHE = '32MiB'
const STALLED = 200
const STALL_AFTER_BYTES = 1_000_000
const STALL_MS = 3_000
const STALLED_BLOB_BYTES = 1_000_000_000
const STALLS = [
  { where: 'all in its middle', places: Array.from({ length: STALLED }, () => STALLED_BLOB_BYTES / 2) },
  { where: 'each in a place of its own', places: Array.from({ length: STALLED }, (_, index) => (STALLED_BLOB_BYTES / STALLED) * index) },
] as const

/** By how much the process of a server that was just started grows, at its peak. Its Postgres is not in it. */
async function growth(registry: Registry, work: () => Promise<unknown>): Promise<Figures> {
  const client = httpClient(registry.port, registry.headers)
  const small = contentOf(randomBytes(1_000))
  // What a first push and a first pull load stays, whatever their size.
  await pushWhole(client, REPOSITORY, small)
  await client.expect(200, 'GET', blobPath(small))
  client.close()
  const { server } = registry.processes()
  const before = residentMiB(server)
  resetPeak(server)
  await work()
  const peak = peakMiB(server)
  return { value: peak - before, memoryMiB: { server: peak } }
}

/** Random bytes over and over: as long as wanted, without as much memory. */
function longContent(bytes: number): Content {
  const piece = randomBytes(5_000_000)
  const pieces = Array.from({ length: bytes / piece.length }, () => piece)
  const hash = createHash('sha256')
  for (const each of pieces) hash.update(each)
  return { pieces, digest: `sha256:${hash.digest('hex')}` }
}

const blobPath = ({ digest }: Content): string => `/v2/${REPOSITORY}/blobs/${digest}`

async function push(registry: Registry, content: Content): Promise<void> {
  const client = httpClient(registry.port, registry.headers)
  await pushWhole(client, REPOSITORY, content)
  client.close()
}

async function pull({ port, headers }: Registry, content: Content): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}${blobPath(content)}`, { headers })
  const body: AsyncIterable<Uint8Array> | null = response.body
  const hash = createHash('sha256')
  for await (const bytes of body ?? []) hash.update(bytes)
  if (`sha256:${hash.digest('hex')}` !== content.digest) throw new Error('a layer came out other than it went in')
}

/** Each client takes 1 MB from a place in the blob on, and then no more. */
async function stall({ port, headers }: Registry, content: Content, places: readonly number[]): Promise<void> {
  const requests = places.map((from) => requestText('GET', blobPath(content), { ...headers, Range: `bytes=${from}-` }))
  const sockets = await Promise.all(requests.map((request) => readSome(port, request)))
  await sleep(STALL_MS)
  const cut = sockets.filter((socket) => socket.destroyed).length
  for (const socket of sockets) socket.destroy()
  if (cut > 0) throw new Error(`${cut} of ${sockets.length} clients that stalled for ${STALL_MS} ms were cut off`)
}

function readSome(port: number, request: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  let read = 0
  return new Promise((resolve, reject) => {
    socket.once('error', reject).once('close', () => {
      reject(new Error(`the connection was closed after ${read} bytes`))
    })
    socket.on('data', (bytes) => {
      read += bytes.length
      if (read < STALL_AFTER_BYTES) return
      socket.pause()
      resolve(socket)
    })
    socket.write(request)
  })
}

const row = (name: string, measure: (registry: Registry) => Promise<Figures>): Row => ({
  group: 'Size',
  name: `growth of Varve's process, cache ${CACHE}: ${name}`,
  unit: 'MiB',
  registries: ['Varve'],
  rounds: 3,
  async measure() {
    const registry = await startOwn({ VARVE_CACHE_BYTES: CACHE })
    try {
      return await measure(registry)
    } finally {
      await registry.stop()
    }
  },
})

export const sizeRows: readonly Row[] = [
  row('a layer of 2 GB pushed and pulled', (registry) => {
    const layer = longContent(2_000_000_000)
    return growth(registry, async () => {
      await push(registry, layer)
      await pull(registry, layer)
    })
  }),
  ...STALLS.map(({ where, places }) =>
    row(`${STALLED} clients stall in a blob of 1 GB, ${where}`, async (registry) => {
      const blob = longContent(STALLED_BLOB_BYTES)
      await push(registry, blob)
      await registry.restart()
      return growth(registry, () => stall(registry, blob, places))
    }),
  ),
]
