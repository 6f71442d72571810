import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { imageManifest, registryClient, sha256 } from '../support/registry.ts'
import { postmasterOf } from '../support/postgres-processes.ts'
import { seeded } from '../support/random.ts'
import type { Seeded } from '../support/random.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

const WORKERS = 16
const VICTIMS = ['varve', 'postgres', 'both'] as const
const RECOVERY_MS = 60_000
/** Of the pushes of earlier rounds, so many are pulled again after each; all of them after the last. */
const EARLIER_CHECKED = 50

type Image = { readonly name: string; readonly tag: string; readonly digest: string; readonly layer: string }

/** What the clients were told, over all rounds: what must be true whatever was killed. */
type Told = {
  /** Images whose push got its 201, by digest of the manifest. */
  readonly pushed: Map<string, Image>
  /** For each tag, the digests that it may point at: the last one acknowledged, and those whose push had no answer since. */
  readonly tags: Map<string, Set<string>>
  /** Request ids of answers whose bytes arrived whole. */
  readonly delivered: Set<string>
  /** Answers that no client should get. */
  readonly wrong: string[]
}

export type CrashReport = { readonly rounds: number; readonly pushes: number; readonly pulls: number; readonly problems: readonly string[] }

/**
 * Rounds of 16 pushers and 16 pullers, in each of which Varve, its Postgres or both are killed at a moment that the seed picks.
 * After each the registry must be what its clients were told.
 */
export async function crashRounds(seed: number, rounds: number, say: (line: string) => void): Promise<CrashReport> {
  const random = seeded(seed)
  const server = await startVarve()
  const told: Told = { pushed: new Map(), tags: new Map(), delivered: new Set(), wrong: [] }
  const problems: string[] = []
  try {
    for (let round = 1; round <= rounds && problems.length === 0; round += 1) {
      const victim = VICTIMS[round % VICTIMS.length] ?? 'both'
      const after = 200 + random.below(1_300)
      const before = told.pushed.size
      await runRound(server, seeded(random.below(2 ** 32)), told, victim, after)
      const images = [...told.pushed.values()]
      const earlier = Array.from({ length: Math.min(EARLIER_CHECKED, images.length) }, () => random.pick(images))
      problems.push(...(await check(server, told, new Set([...images.slice(before), ...earlier]))))
      say(`round ${round}: ${victim} killed after ${after} ms; ${told.pushed.size} pushes and ${told.delivered.size} pulls so far, ${problems.length} problems`)
    }
    problems.push(...(await check(server, told, told.pushed.values())))
    problems.push(...(await checkWhole(server, told)))
    if (problems.length > 0) say(server.output().slice(-20_000))
    return { rounds, pushes: told.pushed.size, pulls: told.delivered.size, problems }
  } finally {
    await server.stop()
  }
}

async function runRound(server: VarveServer, random: Seeded, told: Told, victim: (typeof VICTIMS)[number], afterMs: number): Promise<void> {
  const end = new AbortController()
  const workers = Array.from({ length: WORKERS }, (_, index) => [
    work(end.signal, (signal) => pushOnce(server, random, told, index, signal)),
    work(end.signal, (signal) => pullOnce(server, random, told, signal)),
  ]).flat()
  await sleep(afterMs)
  if (victim !== 'varve') process.kill(postmasterOf(server.dataFolder), 'SIGKILL')
  if (victim !== 'postgres') await server.kill('SIGKILL')
  // Long enough to see that Varve waits for its Postgres, and answers again.
  if (victim === 'postgres') await sleep(1_500)
  end.abort()
  await Promise.all(workers)
  if (victim !== 'postgres') await server.restart()
  await ready(server)
}

async function work(signal: AbortSignal, act: (signal: AbortSignal) => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await act(signal)
    } catch {
      // A connection that breaks is what a crash looks like to a client: nothing was promised.
      await sleep(20)
    }
  }
}

async function pushOnce(server: VarveServer, random: Seeded, told: Told, worker: number, signal: AbortSignal): Promise<void> {
  const { call } = registryClient(server)
  const name = `crash/repository-${worker % 4}`
  const tag = `worker-${worker}-${random.below(3)}`
  const layer = random.bytes(1 + random.below(60_000))
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', id: randomUUID() }))
  for (const blob of [config, layer]) {
    const chunked = random.below(2) === 0
    const begun = await call('POST', `/v2/${name}/blobs/uploads/${chunked ? '' : `?digest=${sha256(blob)}`}`, chunked ? {} : { body: blob })
    const location = begun.headers.get('location') ?? ''
    if (!expected(told, begun, chunked ? 202 : 201)) return
    if (!chunked) continue
    const half = Math.floor(blob.length / 2)
    if (!expected(told, await call('PATCH', location, { body: blob.subarray(0, half) }), 202)) return
    if (!expected(told, await call('PUT', `${location}?digest=${sha256(blob)}`, { body: blob.subarray(half) }), 201)) return
  }
  const part = (bytes: Buffer) => ({ digest: sha256(bytes), size: bytes.length })
  const manifest = Buffer.from(JSON.stringify(imageManifest(part(config), [part(layer)])))
  const digest = sha256(manifest)
  const key = `${name}:${tag}`
  const possible = told.tags.get(key) ?? new Set<string>()
  told.tags.set(key, possible)
  possible.add(digest)
  const answer = await call('PUT', `/v2/${name}/manifests/${tag}`, {
    body: manifest,
    headers: { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' },
  })
  if (!expected(told, answer, 201)) return
  told.pushed.set(digest, { name, tag, digest, layer: sha256(layer) })
  for (const other of [...possible]) if (other !== digest) possible.delete(other)
  signal.throwIfAborted()
}

async function pullOnce(server: VarveServer, random: Seeded, told: Told, signal: AbortSignal): Promise<void> {
  const images = [...told.pushed.values()]
  if (images.length === 0) {
    await sleep(10)
    return
  }
  const image = random.pick(images)
  await deliver(server, told, `/v2/${image.name}/manifests/${image.digest}`, image.digest)
  await deliver(server, told, `/v2/${image.name}/blobs/${image.layer}`, image.layer)
  const possible = told.tags.get(`${image.name}:${image.tag}`) ?? new Set()
  const byTag = await registryClient(server).call('GET', `/v2/${image.name}/manifests/${image.tag}`)
  const bytes = Buffer.from(await byTag.arrayBuffer())
  if (!expected(told, byTag, 200)) return
  told.delivered.add(byTag.headers.get('x-request-id') ?? '')
  // Pushes go on meanwhile, so a tag may have moved since; what it gives must be whole.
  if (sha256(bytes) !== byTag.headers.get('docker-content-digest')) told.wrong.push(`${image.name}:${image.tag} gave torn bytes (${possible.size} possible)`)
  signal.throwIfAborted()
}

async function deliver(server: VarveServer, told: Told, path: string, digest: string): Promise<void> {
  const answer = await registryClient(server).call('GET', path)
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (!expected(told, answer, 200)) return
  told.delivered.add(answer.headers.get('x-request-id') ?? '')
  if (sha256(bytes) !== digest) told.wrong.push(`${path} gave other bytes than its digest`)
}

/** 503 says that nothing is known; a chunk after a crash may find its upload gone. Anything else is wrong. */
function expected(told: Told, answer: Response, status: number): boolean {
  if (answer.status === status) return true
  const upload = answer.url.includes('/blobs/uploads/')
  if (answer.status !== 503 && !(upload && (answer.status === 404 || answer.status === 416))) told.wrong.push(`${answer.url} answered ${answer.status}`)
  return false
}

async function ready(server: VarveServer): Promise<void> {
  const deadline = Date.now() + RECOVERY_MS
  for (;;) {
    try {
      const answer = await registryClient(server).call('GET', '/v2/_catalog?n=1')
      if (answer.status === 200) return
    } catch {
      // Not yet.
    }
    if (Date.now() > deadline) throw new Error(`the registry did not come back in ${RECOVERY_MS} ms:\n${server.output().slice(-4_000)}`)
    await sleep(100)
  }
}

/** Pushes that were acknowledged pull back, and every tag points where it may. */
async function check(server: VarveServer, told: Told, images: Iterable<Image>): Promise<string[]> {
  const problems = [...told.wrong]
  for (const image of images) {
    const before = told.wrong.length
    await deliver(server, told, `/v2/${image.name}/manifests/${image.digest}`, image.digest)
    await deliver(server, told, `/v2/${image.name}/blobs/${image.layer}`, image.layer)
    problems.push(...told.wrong.slice(before))
  }
  for (const [key, possible] of told.tags) {
    const [name = '', tag = ''] = key.split(':')
    const digest = (await registryClient(server).call('HEAD', `/v2/${name}/manifests/${tag}`)).headers.get('docker-content-digest')
    const acknowledged = [...told.pushed.values()].some((image) => image.name === name && image.tag === tag)
    if (digest === null ? acknowledged : !possible.has(digest)) problems.push(`${key} points at ${String(digest)}, which nobody was told`)
  }
  return problems
}

/** Every pull that was delivered is on record, and the read models and the blobs are what the log says. */
async function checkWhole(server: VarveServer, told: Told): Promise<string[]> {
  const problems: string[] = []
  const tail = await server.varve('log', 'tail', '-n', '999999999')
  const recorded = new Set(
    tail.stdout.split('\n').flatMap((line) => {
      const event = line === '' ? undefined : (JSON.parse(line) as { type: string; data: { pulls: [number, number, number, string][] } })
      return event?.type === 'PullsRecorded' ? event.data.pulls.map(([, , , request]) => request) : []
    }),
  )
  const missing = [...told.delivered].filter((request) => !recorded.has(request))
  if (missing.length > 0) problems.push(`${missing.length} of ${told.delivered.size} delivered pulls are not on record: ${missing.slice(0, 3).join(', ')}`)
  for (const command of [['rebuild', '--verify'], ['fsck']]) {
    const done = await server.varve(...command)
    if (done.code !== 0) problems.push(`varve ${command.join(' ')} ended with ${String(done.code)}: ${done.stdout}${done.stderr}`)
  }
  if (/unhandled/i.test(server.output())) problems.push('the server met an unhandled rejection')
  return problems
}
