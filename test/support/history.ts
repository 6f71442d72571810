import { AccessRecorded, LOGIN_WAYS, PULL_COLUMNS, ProcessStarted, PullsRecorded, REFUSAL_REASONS } from '../../src/commands/activity/events.ts'
import type { AccessData, AccessEntry, PullRow, PullsData } from '../../src/commands/activity/events.ts'
import { TamperingFound } from '../../src/commands/alarm/events.ts'
import { LogNamed } from '../../src/commands/log/events.ts'
import { decide } from '../../src/commands/repository/decide.ts'
import type { PushManifest, RepositoryCommand } from '../../src/commands/repository/decide.ts'
import type { RepositoryFact } from '../../src/commands/repository/events.ts'
import { uploadAggregate } from '../../src/commands/upload/aggregate.ts'
import { BlobMounted, BlobUploaded } from '../../src/commands/upload/events.ts'
import type { UploadFact } from '../../src/commands/upload/events.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { isRefusal } from '../../src/oci/errors.ts'
import type { Refusal } from '../../src/oci/errors.ts'
import { DOCKER_MANIFEST, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST } from '../../src/oci/media-types.ts'
import { parseTag } from '../../src/oci/names.ts'
import type { Tag } from '../../src/oci/names.ts'
import type { BlobStore } from '../../src/ports/blob-store.ts'
import type { EventLog } from '../../src/ports/event-log.ts'
import type { Actor, Event, Fact } from '../../src/ports/event.ts'
import { ForgottenError } from '../../src/ports/key-store.ts'
import type { Sealed, Sealer } from '../../src/ports/key-store.ts'
import { laneOf, repositoryKey, streams } from '../../src/ports/streams.ts'
import type { RepositoryKey } from '../../src/ports/streams.ts'
import { openIdentityHistory } from './identity-history.ts'
import { lots } from './lots.ts'
import { DOCKER_IMAGE_CONFIG, OCI_EMPTY, OCI_IMAGE_CONFIG } from './media-types.ts'

export type HistoryShape = {
  /** Of all events, so many are of the state lane. */
  readonly stateShare: number
  /** Of those that are not, so many are of logins, tokens and refusals. */
  readonly accessShare: number
  /** Of the events of the state lane, so many are of people, rights and settings, about. */
  readonly identityShare: number
  readonly projects: number
  readonly repositories: number
  /** Tags that a repository comes to have, about. */
  readonly tags: number
  readonly callers: number
}

export type HistoryOptions = {
  readonly seed: number
  /** How many events there are to be, within a few. */
  readonly events: number
  readonly start: Date
  /** How much time passes in all; two years where it is not said. */
  readonly spanMs?: number
  readonly sealer?: Sealer
  /** Destroys a subject's key. Undefined: nobody is forgotten. */
  readonly forget?: (subject: string) => Promise<void>
  /** Where manifests go. */
  readonly blobs: Pick<BlobStore, 'put'>
  /** How many pulls, or logins, tokens and refusals, an event holds. Undefined: one or two in most, many in some. */
  readonly entriesPerEvent?: number
  readonly shape?: Partial<HistoryShape>
}

export type History = {
  readonly events: number
  readonly stateEvents: number
  readonly pulls: number
  readonly projects: readonly string[]
  readonly repositories: readonly RepositoryKey[]
}

const USUAL_SHAPE: HistoryShape = { stateShare: 0.3, accessShare: 0.1, identityShare: 0.1, projects: 12, repositories: 60, tags: 40, callers: 50 }
const TWO_YEARS_MS = 2 * 365 * 24 * 3_600_000
/** Appends under way at once: each stream's revisions are known here, so nothing has to be waited for but the log's speed. */
const IN_FLIGHT = 1_000

const AGENTS = [
  'docker/28.5.1 go/go1.24.8 kernel/6.8.0 os/linux arch/amd64',
  'containerd/v2.1.4',
  'cosign/v2.6.0 (linux; amd64) \u{1F511}\u{1F469}\u200D\u{1F4BB}',
  'broken \ufffd agent \ufffd',
  'x'.repeat(256),
  '=HYPERLINK("http://example.org","click, here")',
  '\\u0000 as text, not as a character',
  '日本語のクライアント/1.0',
  '',
]

/** A repository as the generator knows it, whole: what a command names is cut out of it, as decision rows are. */
type Repository = {
  readonly key: RepositoryKey
  revision: number
  exists: boolean
  readonly tags: Map<Tag, Digest>
  readonly manifests: Map<Digest, Pushed>
  readonly blobs: Map<Digest, { readonly size: number; linked: boolean }>
  /** For drawing lots: the keys of the maps, as they came. */
  readonly digests: Digest[]
  readonly held: Digest[]
}

type Pushed = { readonly command: PushManifest; live: boolean }
type Caller = PullsData['callers'][number]
type Layer = { readonly digest: Digest; readonly size: number }

/**
 * Writes a history as years of use would have left it, in little time: state events come from the real deciders, so what stands in
 * the log could have come about. The same options give the same events.
 */
export async function generateHistory(log: EventLog, options: HistoryOptions): Promise<History> {
  const shape = { ...USUAL_SHAPE, ...options.shape }
  const { blobs, sealer = createPlainSealer() } = options
  const random = lots(options.seed)
  const gapMs = (options.spanMs ?? TWO_YEARS_MS) / Math.max(1, options.events)
  let repositories: Repository[] = []
  let repositoriesMade = 0
  const counts = { events: 0, stateEvents: 0, pulls: 0 }
  let clock = options.start.getTime()
  let underWay: Promise<unknown>[] = []
  let activity = { boot: '', revision: -1 }
  let access = { boot: '', revision: -1 }

  const boot = random.uuid()
  const admin = random.uuid()
  const callers = await makeCallers()
  const newcomers = callers.filter(({ kind, subject }) => kind === 'user' && subject !== admin).map(({ subject }) => subject)
  const identity = await begin()
  while (counts.events < options.events) {
    if (counts.stateEvents < shape.stateShare * (counts.events + 1)) await changeSomething()
    else if (random.chance(shape.accessShare)) await comeIn()
    else await pullSomething()
  }
  await settle()
  return { ...counts, projects: [...identity.projects().values()], repositories: repositories.map((each) => each.key) }

  async function makeCallers(): Promise<Caller[]> {
    const made: Caller[] = []
    for (let index = 0; index < shape.callers; index += 1) {
      const kind = random.chance(0.6) ? 'user' : random.chance(0.7) ? 'robot' : 'anonymous'
      const subject = index === 0 ? admin : index % 3 === 0 ? (made[index - 1]?.subject ?? admin) : random.uuid()
      const clear = {
        ...(kind === 'anonymous' ? {} : { name: index === 0 ? 'admin' : `${kind}-${subject.slice(0, 4)}` }),
        address: random.chance(0.2) ? `2001:db8::${random.below(65_536).toString(16)}` : `10.0.${random.below(256)}.${random.below(256)}`,
        userAgent: random.pick(AGENTS) ?? '',
      }
      // A few callers say nothing of themselves.
      made.push({ kind, subject, ...(random.chance(0.05) ? {} : { private: await sealer.seal(subject, JSON.stringify(clear)) }) })
    }
    return made
  }

  /** A log that has none gets its first events; one that has goes on. */
  async function begin() {
    const system: Actor = { kind: 'system', subject: boot }
    const isNew = (await log.head()) === undefined
    if (isNew) {
      await send(streams.log, -1, [LogNamed({ log: 'history0' })], { actor: system })
      await settle()
    }
    const opened = await openIdentityHistory(log, {
      random, sealer, forget: options.forget, maxProjects: shape.projects,
      send: (stream, expected, facts, by) => send(stream, expected, facts, by === 'system' ? { actor: system } : someone()),
      newcomer: () => newcomers.pop() ?? random.uuid(),
      now: () => new Date(clock),
    })
    if (isNew) {
      await opened.begin(admin)
      await send(streams.alarms, -1, [TamperingFound({ tampering: 'truncated', stream: 'settings', detail: '{"$maxAge":1}' })], { actor: system })
    }
    return opened
  }

  /** Most events come in bursts; now and then one is of another machine, whose clock is a little behind. */
  function at(): string {
    clock += random.chance(0.8) ? random.below(500) : random.below(Math.ceil(gapMs * 10))
    return new Date(clock - (random.chance(0.05) ? random.below(3_000) : 0)).toISOString()
  }

  async function send(stream: string, expected: number, facts: readonly Fact[], who: { readonly actor: Actor; readonly private?: Sealed }): Promise<readonly Event[]> {
    const requestId = random.uuid()
    const time = at()
    const events = facts.map((fact): Event => ({ ...fact, id: random.uuid(), at: time, ...who, ...(who.actor.kind === 'system' ? {} : { requestId }) }))
    counts.events += events.length
    if (laneOf(stream) === 'state') counts.stateEvents += events.length
    underWay.push(
      log.append(stream, expected, events).then((appended) => {
        if (appended.status === 'conflict') throw new Error(`${stream} stands at ${appended.actual}, not at ${expected}`)
      }),
    )
    if (underWay.length >= IN_FLIGHT) await settle()
    return events
  }

  async function settle(): Promise<void> {
    await Promise.all(underWay)
    underWay = []
  }

  function someone(): { readonly actor: Actor; readonly private?: Sealed } {
    const caller = random.pick(callers.filter((each) => each.kind !== 'anonymous').slice(0, 20))
    if (caller === undefined) return { actor: { kind: 'user', subject: admin } }
    const kind = caller.kind === 'robot' ? 'robot' : 'user'
    return { actor: { kind, subject: caller.subject }, ...(caller.private === undefined ? {} : { private: caller.private }) }
  }

  async function changeSomething(): Promise<void> {
    if (random.chance(shape.identityShare)) {
      await identity.change()
      // What a project held ends with it.
      repositories = repositories.filter(({ key }) => identity.projects().has(key.slice(0, key.indexOf('/'))))
      return
    }
    if (repositories.length < shape.repositories && (repositories.length === 0 || random.chance(0.1))) {
      const project = random.pick([...identity.projects().keys()])
      if (project === undefined) throw new Error('a registry has a project')
      const path = random.chance(0.2) ? `a/b-${repositoriesMade}/c` : `app-${repositoriesMade}`
      repositoriesMade += 1
      repositories.push(newRepository(repositoryKey(project, path)))
    }
    const repository = random.pick(repositories)
    if (repository === undefined) return
    const lot = random.below(100)
    if (lot < 40) await pushImage(repository)
    else if (lot < 50) await pushIndex(repository)
    else if (lot < 60) await pushAgain(repository, true)
    else if (lot < 70) await pushAgain(repository, false)
    else if (lot < 80) await act(repository, { type: 'DeleteTag', tag: random.pick([...repository.tags.keys()].slice(0, 50)) ?? tagNamed('none') })
    else if (lot < 88) await deleteManifest(repository)
    else if (lot < 96) await deleteBlob(repository)
    else await upload(repository)
  }

  async function upload(repository: Repository): Promise<Layer> {
    const known = repository.held.at(-1 - random.below(8))
    if (known !== undefined && random.chance(0.5)) return { digest: known, size: repository.blobs.get(known)?.size ?? 0 }
    const source = random.chance(0.3) ? random.pick(repositories) : undefined
    const mounted = source && random.pick(source.held)
    const blob = mounted === undefined ? undefined : source?.blobs.get(mounted)
    if (source !== undefined && mounted !== undefined && blob?.linked === true && source !== repository) {
      const fact = BlobMounted({ repository: repository.key, digest: mounted, size: blob.size, from: source.key })
      await conclude(repository, fact)
      return { digest: mounted, size: blob.size }
    }
    const layer = { digest: random.digest(), size: random.below(200_000_000) }
    await conclude(repository, BlobUploaded({ repository: repository.key, ...layer }))
    return layer
  }

  async function conclude(repository: Repository, fact: UploadFact): Promise<void> {
    const { digest, size } = fact.data
    if (!repository.blobs.has(digest)) repository.held.push(digest)
    repository.blobs.set(digest, { size, linked: true })
    const upload = uploadAggregate(random.uuid())
    const facts = upload.decide({ revision: -1 }, fact)
    if (!isRefusal(facts)) await send(upload.stream, -1, facts, someone())
  }

  async function pushImage(repository: Repository): Promise<void> {
    const layers: Layer[] = []
    for (let count = random.below(3); count >= 0; count -= 1) layers.push(await upload(repository))
    // Sparse: a layer that was never pushed here.
    if (random.chance(0.1)) layers.push({ digest: random.digest(), size: 5 })
    const config = await upload(repository)
    const subject = random.chance(1 / 3) ? (random.pick(repository.digests) ?? random.digest()) : undefined
    const docker = subject === undefined && random.chance(0.3)
    const mediaType = docker ? DOCKER_MANIFEST : OCI_IMAGE_MANIFEST
    // What may be held nevertheless, and is not linked again by being named so.
    const foreign = random.chance(0.06) ? [{ mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', digest: repository.held[random.below(5)] ?? random.digest(), size: 9 }] : []
    const document = {
      schemaVersion: 2,
      mediaType,
      ...(subject !== undefined && random.chance(0.5) ? { artifactType: random.pick(['application/vnd.example.sbom', 'application/spdx+json']) } : {}),
      config: { mediaType: docker ? DOCKER_IMAGE_CONFIG : subject === undefined ? OCI_IMAGE_CONFIG : OCI_EMPTY, digest: config.digest, size: config.size },
      layers: [...layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer })), ...foreign],
      ...(subject === undefined ? {} : { subject: { mediaType: OCI_IMAGE_MANIFEST, digest: subject, size: 500 } }),
      ...(docker || !random.chance(0.5) ? {} : { annotations: { 'org.example.note': random.pick(['plain', '"quoted" \u{1F433}', '']) ?? '', serial: random.uuid() } }),
    }
    const named = [...new Set([config.digest, ...layers.map((layer) => layer.digest)])]
    await push(repository, document, mediaType, { blobs: named, children: [], ...(subject === undefined ? {} : { subject }) })
  }

  async function pushIndex(repository: Repository): Promise<void> {
    const children = Array.from({ length: 1 + random.below(3) }, () => random.pick(repository.digests) ?? random.digest())
    if (random.chance(0.1)) children.push(random.digest())
    const entries = children.map((digest, index) => ({
      mediaType: OCI_IMAGE_MANIFEST, digest, size: 500, platform: { os: 'linux', architecture: ['amd64', 'arm64', 'riscv64', 's390x'][index % 4] },
    }))
    const document = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: entries, annotations: { serial: random.uuid() } }
    await push(repository, document, OCI_IMAGE_INDEX, { blobs: [], children: [...new Set(children)] })
  }

  async function push(
    repository: Repository,
    document: object,
    mediaType: string,
    names: Pick<PushManifest, 'blobs' | 'children' | 'subject'>,
  ): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(document))
    const digest = digestOf(random.chance(0.03) ? 'sha512' : 'sha256', bytes)
    if ((await blobs.put(digest, bytes)) === 'no-space') throw new Error('no space for the manifests of a history')
    const tags = someTags()
    const references = tags.length === 1 && random.chance(0.8) ? tags : [digest, ...tags]
    await act(repository, { type: 'PushManifest', digest, mediaType, sizeBytes: bytes.length, tags, references, sparse: true, ...names })
  }

  /** None where it is pushed by digest, mostly one, a `?tag=` list now and then. */
  function someTags(): Tag[] {
    const count = random.chance(0.2) ? 0 : random.chance(0.85) ? 1 : 2 + random.below(10)
    return [...new Set(Array.from({ length: count }, () => (random.chance(0.3) ? tagNamed('latest') : tagNamed(`v${random.below(shape.tags)}`))))]
  }

  /** A manifest that was pushed before: with the tags of then, which changes nothing where they still stand, or with others. */
  async function pushAgain(repository: Repository, asBefore: boolean): Promise<void> {
    const digest = repository.digests.at(-1 - random.below(20))
    const pushed = digest === undefined ? undefined : repository.manifests.get(digest)
    if (pushed === undefined) return pushImage(repository)
    const tags = asBefore ? pushed.command.tags : someTags()
    await act(repository, { ...pushed.command, tags, references: asBefore ? pushed.command.references : [pushed.command.digest, ...tags] })
  }

  async function deleteManifest(repository: Repository): Promise<void> {
    const digest = random.pick(repository.digests)
    if (digest === undefined) return pushImage(repository)
    await act(repository, { type: 'DeleteManifest', digest })
    const pushed = repository.manifests.get(digest)
    if (pushed !== undefined && random.chance(0.4)) await act(repository, pushed.command)
  }

  async function deleteBlob(repository: Repository): Promise<void> {
    const digest = random.chance(0.3) ? repository.held[random.below(5)] : repository.held.at(-1 - random.below(20))
    if (digest === undefined) return pushImage(repository)
    await act(repository, { type: 'DeleteBlob', digest })
    const again = repository.digests.map((each) => repository.manifests.get(each)?.command).findLast((command) => command?.blobs.includes(digest) === true)
    if (again !== undefined && random.chance(0.6)) await act(repository, again)
  }

  async function act(repository: Repository, command: RepositoryCommand): Promise<void> {
    const decision: readonly RepositoryFact[] | Refusal = decide(namedBy(repository, command), command)
    if (isRefusal(decision)) return pushImage(repository)
    const expected = repository.revision
    for (const fact of decision) apply(repository, command, fact)
    await send(streams.repository(repository.key), expected, decision, someone())
  }

  /** Logs in, is issued a token, is refused, or reads the trail. */
  async function comeIn(): Promise<void> {
    if (access.boot === '' || random.chance(0.001)) access = { boot: random.uuid(), revision: -1 }
    const data: AccessData = { callers: [], entries: [] }
    const indexes = new Map<Caller, number>()
    let milliseconds = 0
    for (let count = options.entriesPerEvent ?? (random.chance(0.8) ? 2 : 30); count > 0; count -= 1) {
      const who = random.pick(callers)
      if (who === undefined) continue
      const caller = indexes.get(who) ?? data.callers.push(who) - 1
      indexes.set(who, caller)
      data.entries.push(accessEntry(caller, milliseconds))
      milliseconds += random.below(5)
    }
    const { boot: subject, revision } = access
    access = { boot: subject, revision: revision + 1 }
    await send(streams.access(subject), revision, [AccessRecorded(data)], { actor: { kind: 'system', subject } })
  }

  function accessEntry(caller: number, milliseconds: number): AccessEntry {
    const common = { caller, milliseconds, request: random.uuid() }
    const repository = random.chance(0.6) ? random.pick(repositories)?.key : undefined
    const refused = {
      caller, milliseconds, reason: random.pick(REFUSAL_REASONS) ?? 'role',
      ...(repository === undefined ? {} : { repository, action: random.pick(['pull', 'push', 'delete']) ?? 'pull' }),
    }
    switch (random.below(6)) {
      case 0:
      case 1:
        return { ...common, what: 'login', by: random.pick(LOGIN_WAYS) ?? 'password' }
      case 2: {
        const granted = { type: 'repository', name: `project-${random.below(9)}/app`, actions: ['pull', 'push'].slice(random.below(2)) }
        return { ...common, what: 'token', access: random.chance(0.2) ? [] : [granted], seconds: 300, ...(random.chance(0.3) ? { refresh: true } : {}) }
      }
      case 3:
        return { ...refused, what: 'refusal', request: common.request }
      case 4:
        return { ...refused, what: 'refusals', count: 1 + random.below(100_000) }
      default:
        return { ...common, what: 'reading', of: random.pick(['trail', 'access']) ?? 'trail', asked: random.chance(0.5) ? { action: 'pull' } : {}, ...(random.chance(0.3) ? { exported: true } : {}) }
    }
  }

  async function pullSomething(): Promise<void> {
    if (activity.boot === '' || random.chance(0.0005)) {
      activity = { boot: random.uuid(), revision: 0 }
      await send(streams.activity(activity.boot), -1, [ProcessStarted({ release: '1.0.0' })], { actor: { kind: 'system', subject: activity.boot } })
      return
    }
    const wanted = options.entriesPerEvent ?? (random.chance(0.9) ? 1 : 100)
    const data: PullsData = { callers: [], artifacts: [], columns: [...PULL_COLUMNS], pulls: [] }
    const callerIndexes = new Map<Caller, number>()
    const artifactIndexes = new Map<string, number>()
    let milliseconds = 0
    for (let tries = 0; data.pulls.length < wanted && tries < wanted * 3; tries += 1) {
      const repository = random.pick(repositories)
      const caller = random.pick(callers)
      const target = repository && somethingOf(repository)
      if (repository === undefined || caller === undefined || target === undefined) continue
      const { digest, blob } = target
      const key = `${repository.key}@${digest}${blob ? ' as a blob' : ''}`
      const artifact = artifactIndexes.get(key) ?? data.artifacts.push({ repository: repository.key, digest, ...(blob ? { blob: true as const } : {}) }) - 1
      artifactIndexes.set(key, artifact)
      const callerIndex = callerIndexes.get(caller) ?? data.callers.push(caller) - 1
      callerIndexes.set(caller, callerIndex)
      data.pulls.push(rowOf(callerIndex, artifact, milliseconds, blob, target.tag))
      milliseconds += random.below(3)
    }
    // Before anything was pushed there is nothing to pull.
    if (data.pulls.length === 0) return changeSomething()
    counts.pulls += data.pulls.length
    const { boot: subject, revision } = activity
    activity = { boot: subject, revision: revision + 1 }
    await send(streams.activity(subject), revision, [PullsRecorded(data)], { actor: { kind: 'system', subject } })
  }

  function somethingOf(repository: Repository): { readonly digest: Digest; readonly blob: boolean; readonly tag?: Tag } | undefined {
    if (random.chance(0.4)) {
      const digest = random.pick(repository.held)
      return digest === undefined || repository.blobs.get(digest)?.linked !== true ? undefined : { digest, blob: true }
    }
    const digest = repository.digests.at(-1 - random.below(10))
    if (digest === undefined || repository.manifests.get(digest)?.live !== true) return undefined
    const tag = random.chance(0.6) ? repository.manifests.get(digest)?.command.tags.find((each) => repository.tags.get(each) === digest) : undefined
    return { digest, blob: false, ...(tag === undefined ? {} : { tag }) }
  }

  /** As it is written, and at times with all of its columns, as it was written once. */
  function rowOf(caller: number, artifact: number, milliseconds: number, blob: boolean, tag: Tag | undefined): PullRow {
    const request = random.uuid()
    const reference = tag ?? null
    const lot = random.below(100)
    if (lot < 2 && tag !== undefined) return [caller, artifact, milliseconds, request, reference, 'HEAD', 304]
    if (lot < 10 && tag !== undefined) return [caller, artifact, milliseconds, request, reference, 'HEAD']
    if (lot < 14) return [caller, artifact, milliseconds, request, reference, null, 304]
    if (lot < (blob ? 30 : 18)) return [caller, artifact, milliseconds, request, reference, null, 206, `${random.below(100)}-${100 + random.below(1_000)}`]
    if (lot > 90) return [caller, artifact, milliseconds, request, reference, null, null, null, null]
    return reference === null ? [caller, artifact, milliseconds, request] : [caller, artifact, milliseconds, request, reference]
  }
}

function newRepository(key: RepositoryKey): Repository {
  return { key, revision: -1, exists: false, tags: new Map(), manifests: new Map(), blobs: new Map(), digests: [], held: [] }
}

function tagNamed(text: string): Tag {
  const tag = parseTag(text)
  if (tag === undefined) throw new Error(`${text} is no tag`)
  return tag
}

/** The state that a command is decided on: what it names, and nothing else. */
function namedBy(repository: Repository, command: RepositoryCommand) {
  const named = <K, V>(from: ReadonlyMap<K, V>, keys: readonly K[]): Map<K, V> =>
    new Map(keys.flatMap((key): [K, V][] => {
      const value = from.get(key)
      return value === undefined ? [] : [[key, value]]
    }))
  const push = command.type === 'PushManifest' ? command : undefined
  const manifests = push === undefined ? (command.type === 'DeleteManifest' ? [command.digest] : []) : [push.digest, ...push.children]
  const blobs = push === undefined ? (command.type === 'DeleteBlob' ? [command.digest] : []) : push.blobs
  const tags = push === undefined ? (command.type === 'DeleteTag' ? [command.tag] : []) : push.tags
  return {
    revision: repository.revision,
    exists: repository.exists,
    tags: named(repository.tags, tags),
    manifests: new Map([...named(repository.manifests, manifests)].map(([digest, { live }]) => [digest, live])),
    blobs: new Map([...named(repository.blobs, blobs)].map(([digest, { linked }]) => [digest, linked])),
  }
}

function apply(repository: Repository, command: RepositoryCommand, fact: RepositoryFact): void {
  repository.revision += 1
  switch (fact.type) {
    case 'RepositoryCreated':
      repository.exists = true
      return
    case 'ManifestPushed':
      if (command.type !== 'PushManifest') return
      if (!repository.manifests.has(command.digest)) repository.digests.push(command.digest)
      repository.manifests.set(command.digest, { command, live: true })
      for (const digest of command.blobs) {
        const blob = repository.blobs.get(digest)
        if (blob !== undefined) blob.linked = true
      }
      return
    case 'TagAssigned':
      repository.tags.set(fact.data.tag, fact.data.digest)
      return
    case 'TagDeleted':
      repository.tags.delete(fact.data.tag)
      return
    case 'ManifestDeleted': {
      const pushed = repository.manifests.get(fact.data.digest)
      if (pushed !== undefined) pushed.live = false
      for (const [tag, digest] of repository.tags) if (digest === fact.data.digest) repository.tags.delete(tag)
      return
    }
    case 'BlobDeleted': {
      const blob = repository.blobs.get(fact.data.digest)
      if (blob !== undefined) blob.linked = false
      return
    }
  }
}

/** Manifests in memory, for histories that no server is to serve. */
export function memoryBlobs(): Pick<BlobStore, 'put' | 'read'> {
  const stored = new Map<Digest, Buffer>()
  return {
    put(digest, bytes) {
      stored.set(digest, Buffer.from(bytes))
      return Promise.resolve('stored')
    },
    read: (digest) => Promise.resolve(stored.get(digest)),
  }
}

/** Hides nothing and keeps no key but who was forgotten: sealed values look as real ones, and making them costs next to nothing. */
export function createPlainSealer(): Sealer & { forget(subject: string): Promise<void> } {
  const forgotten = new Set<string>()
  return {
    seal(subject, clear) {
      if (forgotten.has(subject)) return Promise.reject(new ForgottenError(`${subject} was forgotten`))
      return Promise.resolve(Buffer.from(JSON.stringify([subject, clear])).toString('base64url') as Sealed)
    },
    open(sealed) {
      const [subject, clear] = JSON.parse(Buffer.from(sealed, 'base64url').toString()) as [string, string]
      return Promise.resolve(forgotten.has(subject) ? undefined : clear)
    },
    forget(subject) {
      forgotten.add(subject)
      return Promise.resolve()
    },
  }
}
