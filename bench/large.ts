import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { PULL_COLUMNS, ProcessStarted, PullsRecorded } from '../src/commands/activity/events.ts'
import type { PullsData } from '../src/commands/activity/events.ts'
import type { ProjectsFact } from '../src/commands/project/events.ts'
import { decide } from '../src/commands/repository/decide.ts'
import type { RepositoryState } from '../src/commands/repository/state.ts'
import { uploadAggregate } from '../src/commands/upload/aggregate.ts'
import { BlobUploaded } from '../src/commands/upload/events.ts'
import type { UsersFact } from '../src/commands/user/events.ts'
import { digestOf } from '../src/oci/digest.ts'
import type { Digest } from '../src/oci/digest.ts'
import { isRefusal } from '../src/oci/errors.ts'
import { OCI_IMAGE_MANIFEST } from '../src/oci/media-types.ts'
import { parseTag } from '../src/oci/names.ts'
import type { Tag } from '../src/oci/names.ts'
import type { Actor, Event, Fact } from '../src/ports/event.ts'
import { repositoryKey, streams } from '../src/ports/streams.ts'
import type { RepositoryKey } from '../src/ports/streams.ts'
import { connectToRunning } from '../src/storage/postgres/embedded.ts'
import { OCI_IMAGE_CONFIG } from '../test/support/media-types.ts'
import { openBulkLog, sealerOf } from './fill.ts'
import { drained } from './measure.ts'
import type { Registry } from './registry.ts'
import { startOwn } from './varve.ts'

/** As many as an event of a storm holds. */
const PULLS_AN_EVENT = 2_000
const CALLERS = 50
const SBOM = 'application/vnd.example.sbom'

export type Filler = {
  /**
   * Pushes so many manifests to a new repository of `library`, each its own, tagged `t0000000`, `t0000001` … where they have no subject.
   * Answers their digests.
   */
  manifests(path: string, count: number, subject?: Digest): Promise<readonly Digest[]>
  /** Records so many pulls of these manifests, and of layers of theirs: of 13 pulls one is of a manifest, by its tag. */
  pulls(path: string, digests: readonly Digest[], count: number): Promise<void>
  /** All of it is in the log then. */
  close(): Promise<void>
}

export const tagOf = (index: number): string => `t${String(index).padStart(7, '0')}`

/**
 * Puts years of use into a Varve that runs, in minutes: events by the real deciders, put into its log, and bytes where it keeps them,
 * but unsynced. The server follows, as it follows another server on its log.
 */
export async function openFiller(registry: Registry): Promise<Filler> {
  const connection = await connectToRunning(registry.folder)
  if (connection === undefined) throw new Error('Varve\'s Postgres does not run')
  const log = await openBulkLog(connection)
  const sealer = await sealerOf(registry.folder)
  const [admin] = (await allOf<UsersFact>(streams.users)).map(({ data }) => data.user)
  const library = (await allOf<ProjectsFact>(streams.projects)).find(({ type, data }) => type === 'ProjectCreated' && data.name === 'library')?.data.project
  if (admin === undefined || library === undefined) throw new Error('Varve has not begun its log')
  const who = await someone(admin)

  async function allOf<F extends Fact>(stream: string): Promise<Event<F>[]> {
    const events: Event<F>[] = []
    for await (const { event } of log.readStream(stream, -1)) events.push(event as Event<F>)
    return events
  }

  async function someone(subject: string) {
    const clear = { name: 'admin', address: '10.0.0.7', userAgent: 'containerd/v2.1.4' }
    return { actor: { kind: 'user', subject }, private: await sealer.seal(subject, JSON.stringify(clear)) } as const
  }

  function wrap<F extends Fact>(fact: F): Event<F> {
    return { ...fact, id: randomUUID(), at: new Date().toISOString(), ...who, requestId: randomUUID() }
  }

  function store(document: object): { readonly digest: Digest; readonly size: number } {
    const bytes = Buffer.from(JSON.stringify(document))
    const digest = digestOf('sha256', bytes)
    writeFileSync(registry.blobFile(digest), bytes)
    return { digest, size: bytes.length }
  }

  /** A blob that the repository holds, as pushed. */
  async function upload(repository: RepositoryKey, document: object): Promise<{ readonly digest: Digest; readonly size: number }> {
    const blob = store(document)
    const fact = BlobUploaded({ repository, ...blob })
    await log.append(uploadAggregate(randomUUID()).stream, -1, [wrap(fact)])
    return blob
  }

  return {
    async manifests(path, count, subject) {
      const key = repositoryKey(library, path)
      const stream = streams.repository(key)
      const config = await upload(key, { architecture: 'amd64', os: 'linux', of: path })
      const layer = await upload(key, { layer: 'of every manifest', of: path })
      const blobs = [config.digest, layer.digest]
      const held = new Map(blobs.map((digest) => [digest, true]))
      let state: RepositoryState = { revision: -1, exists: false, tags: new Map(), manifests: new Map(), blobs: held }
      const digests: Digest[] = []
      for (let index = 0; index < count; index += 1) {
        const { digest, size } = store({
          schemaVersion: 2,
          mediaType: OCI_IMAGE_MANIFEST,
          ...(subject === undefined ? {} : { artifactType: SBOM, subject: { mediaType: OCI_IMAGE_MANIFEST, digest: subject, size: 500 } }),
          config: { mediaType: OCI_IMAGE_CONFIG, ...config },
          layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }],
          annotations: { 'org.opencontainers.image.revision': `${path} ${index} ${randomUUID()}` },
        })
        const tags = subject === undefined ? [tagNamed(tagOf(index))] : []
        const references = subject === undefined ? tags : [digest]
        const facts = decide(state, {
          type: 'PushManifest', digest, mediaType: OCI_IMAGE_MANIFEST, sizeBytes: size, tags, references, blobs,
          children: [], sparse: false,
          ...(subject === undefined ? {} : { subject }),
        })
        if (isRefusal(facts)) throw new Error(facts.message)
        await log.append(stream, state.revision, facts.map(wrap))
        state = { ...state, exists: true, revision: state.revision + facts.length }
        digests.push(digest)
      }
      return digests
    },

    async pulls(path, digests, count) {
      const repository = repositoryKey(library, path)
      const boot = randomUUID()
      const system: Actor = { kind: 'system', subject: boot }
      const event = (fact: Fact): Event => ({ ...fact, id: randomUUID(), at: new Date().toISOString(), actor: system })
      const callers = await Promise.all(Array.from({ length: CALLERS }, async () => {
        const { actor, private: sealed } = await someone(randomUUID())
        return { ...actor, private: sealed }
      }))
      const layers = Array.from({ length: 12 }, (_, index) => digestOf('sha256', Buffer.from(`layer ${index} of ${path}`)))
      await log.append(streams.activity(boot), -1, [event(ProcessStarted({ release: '0.1.0' }))])
      for (let [done, revision] = [0, 0]; done < count; done += PULLS_AN_EVENT, revision += 1) {
        const digest = digests[revision % digests.length]
        if (digest === undefined) throw new Error('there is nothing to pull')
        const data: PullsData = {
          callers,
          artifacts: [{ repository, digest }, ...layers.map((each) => ({ repository, digest: each, blob: true as const }))],
          columns: [...PULL_COLUMNS],
          pulls: Array.from({ length: Math.min(PULLS_AN_EVENT, count - done) }, (_, index): PullsData['pulls'][number] => {
            const [caller, artifact] = [index % CALLERS, index % 13]
            const request = randomUUID()
            const usual = [caller, artifact, index >> 4, request] as const
            return artifact === 0 ? [...usual, 'latest'] : [...usual]
          }),
        }
        await log.append(streams.activity(boot), revision, [event(PullsRecorded(data))])
      }
    },

    async close() {
      await log.settle()
      await log.close()
    },
  }
}

/** A Varve of its own for rows that share it, started and filled when the first of them asks for it. */
export function sharedFilled(fill: (filler: Filler) => Promise<void>) {
  let started: Promise<Registry> | undefined
  return {
    get: (): Promise<Registry> => (started ??= startFilled(fill)),
    end: async (): Promise<void> => {
      const registry = await started?.catch(() => undefined)
      started = undefined
      await registry?.stop()
    },
  }
}

/** It has caught up when it is answered. */
async function startFilled(fill: (filler: Filler) => Promise<void>): Promise<Registry> {
  const registry = await startOwn()
  try {
    const filler = await openFiller(registry)
    await fill(filler).finally(() => filler.close())
    await drained(registry.trail)
    return registry
  } catch (error) {
    await registry.stop()
    throw error
  }
}

function tagNamed(text: string): Tag {
  const tag = parseTag(text)
  if (tag === undefined) throw new Error(`${text} is no tag`)
  return tag
}
