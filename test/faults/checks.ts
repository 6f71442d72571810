import { setTimeout as sleep } from 'node:timers/promises'
import { registryClient, sha256 } from '../support/registry.ts'
import type { StandIn } from '../support/eventstoredb.ts'
import type { VarveServer } from '../support/server.ts'
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

/** Every pull that was delivered is on record, and the read models and the blobs are what the log says. */
export async function checkWhole(server: VarveServer, told: Told): Promise<string[]> {
  const problems: string[] = []
  const recorded = await recordedPulls(server)
  const missing = [...told.delivered].filter((request) => !recorded.has(request))
  if (missing.length > 0) problems.push(`${missing.length} of ${told.delivered.size} delivered pulls are not on record: ${missing.slice(0, 3).join(', ')}`)
  for (const command of [['rebuild', '--verify'], ['fsck']]) {
    const done = await server.varve(...command)
    if (done.code !== 0) problems.push(`varve ${command.join(' ')} ended with ${String(done.code)}: ${done.stdout}${done.stderr}`)
  }
  if (/unhandled/i.test(server.output())) problems.push('the server met an unhandled rejection')
  return problems
}

/** What Varve reads of its log is what stands in the files of the log's server, by a reader of their own: each event once, in order. */
export async function checkStored(server: VarveServer, log: StandIn): Promise<string[]> {
  const tail = await server.varve('log', 'tail', '-n', '999999999')
  const read = tail.stdout.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { id: string }).id]))
  const stored = log.stored().flatMap(({ stream, id }) => (/^varve\.[as]\./.test(stream) ? [id] : []))
  const differs = read.length !== stored.length || read.some((id, index) => id !== stored[index])
  return differs || new Set(stored).size !== stored.length ? [`${read.length} events are read, and ${stored.length} are stored, ${new Set(stored).size} of them different`] : []
}

/** The request ids of all pulls in the log. */
export async function recordedPulls(server: VarveServer): Promise<Set<string>> {
  const tail = await server.varve('log', 'tail', '-n', '999999999')
  return new Set(
    tail.stdout.split('\n').flatMap((line) => {
      const event = line === '' ? undefined : (JSON.parse(line) as { type: string; data: { pulls: [number, number, number, string][] } })
      return event?.type === 'PullsRecorded' ? event.data.pulls.map(([, , , request]) => request) : []
    }),
  )
}
