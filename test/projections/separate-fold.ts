import { createHash } from 'node:crypto'
import type { AccessEntry, ActivityFact } from '../../src/commands/activity/events.ts'
import type { RepositoryFact } from '../../src/commands/repository/events.ts'
import type { UploadFact } from '../../src/commands/upload/events.ts'
import type { Event, Recorded } from '../../src/ports/event.ts'
import { separateAccess } from './separate-access.ts'
import { identityWords, isOfIdentity, separateIdentity } from './separate-identity.ts'

/*
 * What the read models must hold, folded a second time and on purpose in another way: event by event, into plain maps, by somebody
 * who has read the design and not src/projections. It shares nothing with them, so that one mistake is not made twice.
 */

export type Row = Readonly<Record<string, string | number | boolean | null>>
export type Tables = Readonly<Record<string, readonly Row[]>>

export type Readers = {
  manifest(digest: string): Promise<Buffer | undefined>
  open(sealed: string): Promise<string | undefined>
}

type Mutable = Record<string, string | number | boolean | null>
type Personal = { readonly name?: string; readonly address?: string; readonly userAgent?: string }
type Descriptor = { readonly mediaType: string; readonly digest: string }
type Document = {
  readonly config?: Descriptor
  readonly layers?: readonly Descriptor[]
  readonly artifactType?: string
  readonly subject?: Descriptor
  readonly annotations?: Readonly<Record<string, string>>
}

/** Folds events, which are all of a log in order, into the rows that each table must have. */
export async function separateFold(events: readonly Recorded[], readers: Readers): Promise<Tables> {
  const heads = new Map<string, Mutable>()
  const identity = separateIdentity((sealed) => readers.open(sealed))
  const access = separateAccess()
  const repositories = new Map<string, Mutable>()
  const manifests = new Map<string, Mutable>()
  const blobs = new Map<string, Mutable>()
  const tags: Mutable[] = []
  const liveTags = new Map<string, Mutable>()
  const pulls: Mutable[] = []
  const counts = new Map<string, Mutable>()
  const trail: Mutable[] = []
  const callers = new Map<string, Mutable>()
  let ordinal = 0
  let asOf = ''

  for (const recorded of events) {
    const { event, stream } = recorded
    const pos = recorded.position.split('-')[1] ?? ''
    if (stream.startsWith('activity-') || stream.startsWith('access-')) {
      await foldActivity(event as Event<ActivityFact>, pos)
      continue
    }
    ordinal += 1
    asOf = event.at > asOf ? event.at : asOf
    if (isOfIdentity(stream) || stream === 'alarms' || stream.startsWith('repository-')) heads.set(stream, { stream, revision: String(recorded.revision) })
    await foldTrail(event, stream, pos)
    if (isOfIdentity(stream)) await identity.fold(recorded, asOf, ordinal)
    access.fold(recorded, asOf)
    if (stream.startsWith('upload-')) foldUpload(event as Event<UploadFact>)
    if (stream.startsWith('repository-')) await foldRepository(event as Event<RepositoryFact>, stream.slice('repository-'.length), pos)
  }
  return {
    heads: [...heads.values()],
    ...identity.tables(),
    ...access.tables(),
    repositories: [...repositories.values()],
    repository_counts: [...Map.groupBy(repositories.values(), ({ project }) => project)].map(([project = null, of]) => ({ project, repositories: String(of.length) })),
    tags,
    manifests: [...manifests.values()],
    blobs: [...blobs.values()],
    pulls,
    pull_counts: [...counts.values()],
    trail,
    callers: [...callers.values()],
  }

  function foldUpload({ data: { repository, digest, size } }: Event<UploadFact>): void {
    blobs.set(`${repository} ${digest}`, { repository, digest, size: String(size), linked: true })
  }

  async function foldRepository(event: Event<RepositoryFact>, repository: string, pos: string): Promise<void> {
    switch (event.type) {
      case 'RepositoryCreated': {
        const slash = repository.indexOf('/')
        const [project, path] = [repository.slice(0, slash), repository.slice(slash + 1)]
        repositories.set(repository, { repository, project, path, number: String(ordinal), created_at: asOf })
        return
      }
      case 'ManifestPushed':
        return foldPush(event.data, repository)
      case 'TagAssigned': {
        const { tag, digest } = event.data
        endTag(repository, tag, pos)
        const row = { repository, name: tag, digest, from_pos: pos, from_at: asOf, to_pos: null, to_at: null, number: String(ordinal) }
        tags.push(row)
        liveTags.set(`${repository} ${tag}`, row)
        return
      }
      case 'TagDeleted':
        endTag(repository, event.data.tag, pos)
        return
      case 'ManifestDeleted': {
        const row = manifests.get(`${repository} ${event.data.digest}`)
        if (row !== undefined) row['live'] = false
        for (const tag of liveTags.values()) {
          if (tag['repository'] === repository && tag['digest'] === event.data.digest) endTag(repository, String(tag['name']), pos)
        }
        return
      }
      case 'BlobDeleted': {
        const row = blobs.get(`${repository} ${event.data.digest}`)
        if (row !== undefined) row['linked'] = false
        return
      }
    }
  }

  async function foldPush(data: Extract<RepositoryFact, { type: 'ManifestPushed' }>['data'], repository: string): Promise<void> {
    const { digest, mediaType, size, subject } = data
    const bytes = await readers.manifest(digest)
    const document = JSON.parse(bytes?.toString() ?? '{}') as Document
    const before = manifests.get(`${repository} ${digest}`)
    manifests.set(`${repository} ${digest}`, {
      repository,
      digest,
      live: true,
      media_type: mediaType,
      size: String(size),
      subject: subject ?? null,
      artifact_type: document.artifactType ?? document.config?.mediaType ?? null,
      annotations: document.subject === undefined || document.annotations === undefined ? null : JSON.stringify(document.annotations),
      pushed_at: asOf,
      number: before?.['number'] ?? String(ordinal),
    })
    const named = [...(document.config === undefined ? [] : [document.config]), ...(document.layers ?? [])]
    for (const descriptor of named) {
      const blob = blobs.get(`${repository} ${descriptor.digest}`)
      if (blob !== undefined && !descriptor.mediaType.includes('.foreign.')) blob['linked'] = true
    }
  }

  function endTag(repository: string, tag: string, pos: string): void {
    const row = liveTags.get(`${repository} ${tag}`)
    if (row === undefined) return
    row['to_pos'] = pos
    row['to_at'] = asOf
    liveTags.delete(`${repository} ${tag}`)
  }

  async function personal(sealed: string | undefined): Promise<Personal> {
    const clear = sealed === undefined ? undefined : await readers.open(sealed)
    return clear === undefined ? {} : (JSON.parse(clear) as Personal)
  }

  /** Who it was: a row for each sealed part, and one for a subject's events without any. */
  async function callerKey(kind: string, id: string, sealed: string | undefined): Promise<string> {
    const subject = `${kind}:${id}`
    const caller = sealed === undefined ? subject : createHash('sha256').update(sealed).digest('base64url')
    const who = await personal(sealed)
    callers.set(caller, { subject, caller, name: who.name ?? null, address: who.address ?? null, agent: who.userAgent ?? null })
    return caller
  }

  async function foldAccess({ at, data }: Extract<Event<ActivityFact>, { type: 'AccessRecorded' }>, pos: string): Promise<void> {
    const keys: string[] = []
    for (const { kind, subject, private: sealed } of data.callers) keys.push(await callerKey(kind, subject, sealed))
    for (const [idx, entry] of data.entries.entries()) {
      const { action, shown } = accessWords(entry)
      trail.push({
        pos, idx, at: new Date(new Date(at).getTime() + entry.milliseconds).toISOString(), action,
        repository: 'repository' in entry ? (entry.repository ?? null) : null, tag: null, digest: null,
        parameters: sorted(JSON.parse(JSON.stringify(shown)) as Record<string, unknown>),
        caller: keys[entry.caller] ?? 'none', request: 'request' in entry ? entry.request : null,
      })
    }
  }

  async function foldActivity(event: Event<ActivityFact>, pos: string): Promise<void> {
    if (event.type === 'ProcessStarted') return
    if (event.type === 'AccessRecorded') return foldAccess(event, pos)
    const { artifacts } = event.data
    const keys: string[] = []
    for (const { kind, subject, private: sealed } of event.data.callers) keys.push(await callerKey(kind, subject, sealed))
    for (const [idx, pull] of event.data.pulls.entries()) {
      const [callerIndex, artifactIndex, milliseconds, request, reference, method, status] = pull
      const [caller, artifact] = [keys[callerIndex], artifacts[artifactIndex]]
      if (caller === undefined || artifact === undefined) throw new Error('a pull names no caller or artifact')
      const at = new Date(new Date(event.at).getTime() + milliseconds).toISOString()
      const { repository, digest } = artifact
      if (artifact.blob === undefined) {
        pulls.push({
          pos, idx, at, repository, digest, reference: reference ?? null, caller, request, head: method === 'HEAD', status: status ?? 200,
        })
      }
      const whole = status === undefined || status === null || status === 200
      if (method === 'HEAD' || !(whole || (artifact.blob === true && status === 206))) continue
      const key = `${repository} ${digest} ${String(artifact.blob)}`
      const count = counts.get(key) ?? { repository, digest, blob: artifact.blob === true, pulls: '0', last_pulled: at }
      counts.set(key, count)
      count['pulls'] = String(Number(count['pulls']) + 1)
      if (at > String(count['last_pulled'])) count['last_pulled'] = at
    }
  }

  async function foldTrail(event: Event, stream: string, pos: string): Promise<void> {
    const data = event.data as Readonly<Record<string, unknown>>
    const { action, shown } = isOfIdentity(stream) ? identityWords(event, stream) : wordsOf(event.type, data)
    trail.push({
      pos,
      idx: 0,
      at: event.at,
      action,
      repository: stream.startsWith('repository-') ? stream.slice('repository-'.length) : stream.startsWith('upload-') ? String(data['repository']) : null,
      tag: typeof data['tag'] === 'string' ? data['tag'] : null,
      digest: typeof data['digest'] === 'string' ? data['digest'] : null,
      parameters: sorted(shown),
      caller: await callerKey(event.actor.kind, event.actor.subject, event.private),
      request: event.requestId ?? null,
    })
  }
}

/** JSON with its keys in order: the order of parameters says nothing. */
export function sorted(value: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))))
}

/** Each type's code, and what of its data the trail shows beside digest, tag and repository. */
function wordsOf(type: string, data: Readonly<Record<string, unknown>>): { readonly action: string; readonly shown: Readonly<Record<string, unknown>> } {
  const { action, shown } = wordsOfType(type)
  return { action, shown: Object.fromEntries(Object.entries(data).filter(([key]) => shown.includes(key))) }
}

function wordsOfType(type: string): { readonly action: string; readonly shown: readonly string[] } {
  switch (type) {
    case 'TamperingFound':
      return { action: 'log.tampering-found', shown: ['tampering', 'stream', 'detail'] }
    case 'LogNamed':
      return { action: 'log.named', shown: ['log'] }
    case 'BlobUploaded':
      return { action: 'blob.uploaded', shown: ['size'] }
    case 'BlobMounted':
      return { action: 'blob.mounted', shown: ['size', 'from'] }
    case 'RepositoryCreated':
      return { action: 'repository.created', shown: [] }
    case 'ManifestPushed':
      return { action: 'push', shown: ['mediaType', 'size', 'subject', 'references', 'missing', 'unchanged'] }
    case 'TagAssigned':
      return { action: 'tag.assigned', shown: ['replaces'] }
    case 'TagDeleted':
      return { action: 'tag.deleted', shown: [] }
    case 'ManifestDeleted':
      return { action: 'manifest.deleted', shown: [] }
    case 'BlobDeleted':
      return { action: 'blob.deleted', shown: [] }
    default:
      throw new Error(`the separate fold does not know ${type}`)
  }
}

/** What the trail shows of an entry of access. */
function accessWords(entry: AccessEntry): { readonly action: string; readonly shown: Readonly<Record<string, unknown>> } {
  switch (entry.what) {
    case 'login':
      return { action: 'login', shown: { by: entry.by } }
    case 'token':
      return { action: 'token.issued', shown: { access: entry.access, seconds: entry.seconds, refresh: entry.refresh } }
    case 'refusal':
      return { action: 'refused', shown: { reason: entry.reason, action: entry.action, project: entry.project } }
    case 'refusals':
      return { action: 'refused', shown: { reason: entry.reason, action: entry.action, project: entry.project, count: entry.count } }
    case 'reading':
      return { action: entry.of === 'trail' ? 'trail.read' : 'access.read', shown: { asked: entry.asked, exported: entry.exported } }
  }
}
