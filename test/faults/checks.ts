import { setTimeout as sleep } from 'node:timers/promises'
import { registryClient, sha256 } from '../support/registry.ts'
import type { VarveServer } from '../support/server.ts'
import type { LogServer } from './faults.ts'
import { pull, pullImage } from './load.ts'
import type { Image, Told } from './load.ts'

const RECOVERY_MS = 60_000

/** Waits until the registry answers from its read models. */
export async function ready(server: VarveServer): Promise<void> {
  const deadline = Date.now() + RECOVERY_MS
  for (;;) {
    try {
      if ((await registryClient(server).call('GET', '/v2/_catalog?n=1')).status === 200) return
    } catch {
      // Not yet.
    }
    if (Date.now() > deadline) throw new Error(`the registry did not come back in ${RECOVERY_MS} ms:\n${server.output().slice(-4_000)}`)
    await sleep(100)
  }
}

/** Waits until every node of the log is there, so that what is done to one next leaves a majority. */
export async function settled({ nodes }: LogServer): Promise<void> {
  const deadline = Date.now() + RECOVERY_MS
  for (;;) {
    const states = await Promise.all(nodes.map((node) => node.status().then(({ state }) => state, () => 'away')))
    if (states.every((state) => state === 'leader' || state === 'follower')) return
    if (Date.now() > deadline) throw new Error(`the nodes of the log did not all come back in ${RECOVERY_MS} ms: ${states.join(', ')}`)
    await sleep(100)
  }
}

/** Pushes that were acknowledged pull back, and every tag points where it may. */
export async function checkPushes(server: VarveServer, told: Told, images: Iterable<Image>): Promise<string[]> {
  const problems: string[] = []
  for (const image of images) await pullImage(server, told, image)
  if (told.refused.pulls > 0) problems.push(`${told.refused.pulls} pulls were answered 503 with nothing wrong any more`)
  for (const [key, possible] of told.tags) {
    const [name = '', tag = ''] = key.split(':')
    const digest = (await registryClient(server).call('HEAD', `/v2/${name}/manifests/${tag}`)).headers.get('docker-content-digest')
    const acknowledged = [...told.pushed.values()].some((image) => image.name === name && image.tag === tag)
    if (digest === null ? acknowledged : !possible.has(digest)) problems.push(`${key} points at ${String(digest)}, which nobody was told`)
  }
  return [...told.wrong, ...problems]
}

/**
 * Ends the uploads that a fault interrupted. One goes on where the registry says it stands, or is gone; one whose bytes were `torn` may
 * be found to have another digest. What is taken pulls back.
 */
export async function finishUploads(server: VarveServer, told: Told, torn: boolean): Promise<string[]> {
  const { call } = registryClient(server)
  const problems: string[] = []
  for (const [location, { name, blob }] of told.open) {
    const status = await call('GET', location)
    if (status.status === 404) continue
    const last = Number(status.headers.get('range')?.slice(2))
    // `0-0` says no byte, or one: the registry refuses what goes on at the wrong one.
    const offsets = last === 0 ? [0, 1] : [last + 1]
    const answers: number[] = []
    for (const offset of offsets) {
      const rest = blob.subarray(offset)
      const range: Record<string, string> = rest.length === 0 ? {} : { 'Content-Range': `${offset}-${blob.length - 1}` }
      const answer = await call('PUT', `${location}?digest=${sha256(blob)}`, { body: rest, headers: range })
      answers.push(answer.status)
      if (answer.status !== 416) break
    }
    const answer = answers.at(-1) ?? 0
    if (answer === 201) await pull(server, told, `/v2/${name}/blobs/${sha256(blob)}`, sha256(blob))
    else await call('DELETE', location)
    if (!(answer === 201 || answer === 404 || (torn && answer === 400))) problems.push(`the upload ${location}, at ${last} of ${blob.length}, was answered ${answers.join(', ')}`)
  }
  told.open.clear()
  return problems
}

/** What was acknowledged stands in the log once, the log is what its server has stored, and the read models and the blobs are what it says. */
export async function checkWhole(server: VarveServer, told: Told, log: LogServer | undefined): Promise<string[]> {
  const events = await loggedEvents(server)
  const recorded = events.flatMap(pullsOf)
  const pushed = events.flatMap(({ type, data }) => (type === 'ManifestPushed' ? [data.digest] : []))
  const problems = [...onceIn(recorded, told.delivered, 'delivered pulls'), ...onceIn(pushed, told.pushed.keys(), 'acknowledged pushes')]
  if (log !== undefined) problems.push(...checkStored(events, log))
  for (const command of [['rebuild', '--verify'], ['fsck']]) {
    const done = await server.varve(...command)
    if (done.code !== 0) problems.push(`varve ${command.join(' ')} ended with ${String(done.code)}: ${done.stdout}${done.stderr}`)
  }
  if (/unhandled/i.test(server.output())) problems.push('the server met an unhandled rejection')
  return problems
}

/** That the log has each of what clients were told, and nothing twice. */
function onceIn(logged: readonly string[], told: Iterable<string>, what: string): string[] {
  const known = new Set(logged)
  const missing = [...told].filter((each) => !known.has(each))
  return [
    ...(missing.length > 0 ? [`${missing.length} ${what} are not in the log: ${missing.slice(0, 3).join(', ')}`] : []),
    ...(known.size < logged.length ? [`${logged.length - known.size} ${what} are in the log twice`] : []),
  ]
}

/** What Varve reads of its log is what stands in the files of the log's server, by a reader of their own: each event once, in order. */
function checkStored(events: readonly Logged[], log: LogServer): string[] {
  const stored = log.stored().flatMap(({ stream, id }) => (/^varve\.[as]\./.test(stream) ? [id] : []))
  const differs = events.length !== stored.length || events.some(({ id }, index) => id !== stored[index])
  return differs || new Set(stored).size !== stored.length ? [`${events.length} events are read, and ${stored.length} are stored, ${new Set(stored).size} of them different`] : []
}

type Logged =
  | { readonly id: string; readonly type: 'PullsRecorded'; readonly data: { readonly pulls: readonly [number, number, number, string][] } }
  | { readonly id: string; readonly type: 'ManifestPushed'; readonly data: { readonly digest: string } }

/** The events of the log, all of them. */
async function loggedEvents(server: VarveServer): Promise<Logged[]> {
  const tail = await server.varve('log', 'tail', '-n', '999999999')
  return tail.stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Logged]))
}

const pullsOf = (event: Logged): string[] => (event.type === 'PullsRecorded' ? event.data.pulls.map(([, , , request]) => request) : [])

/** The request ids of all pulls in the log. */
export async function recordedPulls(server: VarveServer): Promise<Set<string>> {
  return new Set((await loggedEvents(server)).flatMap(pullsOf))
}
