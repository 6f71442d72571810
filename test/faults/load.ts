import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { OCI_MANIFEST, imageManifest, registryClient, sha256 } from '../support/registry.ts'
import type { Seeded } from '../support/random.ts'
import type { VarveServer } from '../support/server.ts'

const WORKERS = 16

export type Image = { readonly name: string; readonly tag: string; readonly digest: string; readonly layer: string }

/** What the clients were told, over all rounds: what must be true whatever was done to the registry. */
export type Told = {
  /** Images whose push got its 201, by digest of the manifest. */
  readonly pushed: Map<string, Image>
  /** For each tag, the digests that it may point at: the last one acknowledged, and those whose push had no answer since. */
  readonly tags: Map<string, Set<string>>
  /** Uploads that were begun and not ended, by their location. */
  readonly open: Map<string, { readonly name: string; readonly blob: Buffer<ArrayBuffer> }>
  /** Request ids of answers whose bytes arrived whole. */
  readonly delivered: Set<string>
  /** Answers that no client should get. */
  readonly wrong: string[]
  /** How many pushes and pulls were answered 503, and how many requests had no answer. */
  refused: { pushes: number; pulls: number; unanswered: number }
  /** The longest that one request waited for its answer. */
  longestMs: number
}

export function nothingTold(): Told {
  return { pushed: new Map(), tags: new Map(), open: new Map(), delivered: new Set(), wrong: [], refused: { pushes: 0, pulls: 0, unanswered: 0 }, longestMs: 0 }
}

/** 16 pushers and 16 pullers, until the function that it answers is called, which waits for their last answers. */
export function startLoad(server: VarveServer, random: Seeded, told: Told): () => Promise<void> {
  const end = new AbortController()
  const workers = Array.from({ length: WORKERS }, (_, index) => [
    work(end.signal, () => pushOnce(server, random, told, index)),
    work(end.signal, () => pullOnce(server, random, told)),
  ]).flat()
  return async () => {
    end.abort()
    await Promise.all(workers)
  }
}

async function work(signal: AbortSignal, act: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await act()
    } catch {
      // A connection that breaks is what a crash looks like to a client: nothing was promised.
      await sleep(20)
    }
  }
}

/** Sends one request, and keeps how long it waited and whether it was answered. */
async function ask(server: VarveServer, told: Told, ...request: Parameters<ReturnType<typeof registryClient>['call']>): Promise<Response> {
  const began = performance.now()
  try {
    return await registryClient(server).call(...request)
  } catch (error) {
    told.refused.unanswered += 1
    throw error
  } finally {
    told.longestMs = Math.max(told.longestMs, performance.now() - began)
  }
}

async function pushOnce(server: VarveServer, random: Seeded, told: Told, worker: number): Promise<void> {
  const name = `faults/repository-${worker % 4}`
  const layer = random.bytes(1 + random.below(60_000))
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', id: randomUUID() }))
  for (const blob of [config, layer]) {
    if (!(await (random.below(2) === 0 ? pushInChunks : pushAtOnce)(server, told, name, blob))) return
  }
  await pushManifest(server, told, { name, tag: `worker-${worker}-${random.below(3)}`, config, layer })
}

export async function pushAtOnce(server: VarveServer, told: Told, name: string, blob: Buffer<ArrayBuffer>): Promise<boolean> {
  return expected(told, await ask(server, told, 'POST', `/v2/${name}/blobs/uploads/?digest=${sha256(blob)}`, { body: blob }), 201)
}

async function pushInChunks(server: VarveServer, told: Told, name: string, blob: Buffer<ArrayBuffer>): Promise<boolean> {
  const begun = await ask(server, told, 'POST', `/v2/${name}/blobs/uploads/`)
  if (!expected(told, begun, 202)) return false
  const location = begun.headers.get('location') ?? ''
  told.open.set(location, { name, blob })
  const half = Math.floor(blob.length / 2)
  if (!expected(told, await ask(server, told, 'PATCH', location, { body: blob.subarray(0, half) }), 202)) return false
  if (!expected(told, await ask(server, told, 'PUT', `${location}?digest=${sha256(blob)}`, { body: blob.subarray(half) }), 201)) return false
  told.open.delete(location)
  return true
}

type Content = { readonly name: string; readonly tag: string; readonly config: Buffer; readonly layer: Buffer }

export function manifestOf({ config, layer }: Pick<Content, 'config' | 'layer'>): Buffer<ArrayBuffer> {
  const part = (bytes: Buffer) => ({ digest: sha256(bytes), size: bytes.length })
  return Buffer.from(JSON.stringify(imageManifest(part(config), [part(layer)])))
}

/** Of one tag, only one at a time: else nobody could say which of two came last. */
export async function pushManifest(server: VarveServer, told: Told, content: Content): Promise<boolean> {
  const { name, tag, layer } = content
  const manifest = manifestOf(content)
  const digest = sha256(manifest)
  const key = `${name}:${tag}`
  const possible = told.tags.get(key) ?? new Set<string>()
  told.tags.set(key, possible)
  possible.add(digest)
  const answer = await ask(server, told, 'PUT', `/v2/${name}/manifests/${tag}`, { body: manifest, headers: { 'Content-Type': OCI_MANIFEST } })
  if (!expected(told, answer, 201)) return false
  told.pushed.set(digest, { name, tag, digest, layer: sha256(layer) })
  for (const other of [...possible]) if (other !== digest) possible.delete(other)
  return true
}

async function pullOnce(server: VarveServer, random: Seeded, told: Told): Promise<void> {
  const images = [...told.pushed.values()]
  if (images.length === 0) {
    await sleep(10)
    return
  }
  const image = random.pick(images)
  await pullImage(server, told, image)
  // Pushes go on meanwhile, so the tag may have moved since; what it gives must be whole.
  await pull(server, told, `/v2/${image.name}/manifests/${image.tag}`)
}

export async function pullImage(server: VarveServer, told: Told, image: Image): Promise<void> {
  await pull(server, told, `/v2/${image.name}/manifests/${image.digest}`, image.digest)
  await pull(server, told, `/v2/${image.name}/blobs/${image.layer}`, image.layer)
}

/** Without a digest it must be the one that the answer says. */
export async function pull(server: VarveServer, told: Told, path: string, digest?: string): Promise<void> {
  const answer = await ask(server, told, 'GET', path)
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (!expected(told, answer, 200)) return
  told.delivered.add(answer.headers.get('x-request-id') ?? '')
  if (sha256(bytes) !== (digest ?? answer.headers.get('docker-content-digest'))) told.wrong.push(`${path} gave other bytes than its digest`)
}

/** 503 says that nothing is known; a chunk after a crash may find its upload gone. Anything else is wrong. */
function expected(told: Told, answer: Response, status: number): boolean {
  if (answer.status === status) return true
  if (answer.status === 503) told.refused[status === 200 ? 'pulls' : 'pushes'] += 1
  else if (!(answer.url.includes('/blobs/uploads/') && (answer.status === 404 || answer.status === 416))) {
    told.wrong.push(`${answer.url} answered ${answer.status}, not ${status}`)
  }
  return false
}
