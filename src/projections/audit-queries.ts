import type { Pool } from 'pg'
import { pullOf } from '../commands/activity/events.ts'
import type { PullsData } from '../commands/activity/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/names.ts'
import type { EventLog } from '../ports/event-log.ts'
import type { Recorded } from '../ports/event.ts'
import { comparePositions, position, positionLog, positionNumber } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import type { RepositoryKey } from '../ports/streams.ts'
import { ACCESS_ACTIONS } from './audit.ts'
import { subjectKey } from './caller.ts'
import { isActivity } from './facts.ts'
import type { Reads } from './projection.ts'

/** Where an entry stands: its event's position, and its place in the batch (0 where it is alone). */
export type AuditCursor = { readonly position: Position; readonly index: number }

/** What is looked for; what is left out is not asked. */
export type AuditFilter = {
  /** A name, or a subject's id. */
  readonly actor?: string
  readonly action?: string
  /** A project's id: what happened to it and in it. */
  readonly project?: string
  readonly repository?: RepositoryKey
  readonly tag?: Tag
  readonly digest?: Digest
  /** Both ends are included. */
  readonly since?: Position | Date
  readonly until?: Position | Date
}

export type AuditEntry = AuditCursor & {
  readonly at: Date
  /** A code of the trail, or `pull`. */
  readonly action: string
  readonly repository: RepositoryKey | undefined
  readonly tag: string | undefined
  readonly digest: string | undefined
  readonly parameters: Readonly<Record<string, unknown>>
  readonly who: { readonly kind: string; readonly id: string; readonly name: string | undefined }
  readonly address: string | undefined
  readonly userAgent: string | undefined
  readonly requestId: string | undefined
  readonly pull: PullDetails | undefined
}

export type PullDetails = {
  readonly artifact: 'manifest' | 'blob'
  /** As asked: a tag, or the digest. */
  readonly reference: string
  readonly method: string
  readonly status: number
  /** Known where the pull was read from the log. */
  readonly range?: string
}

type EntryRow = {
  pos: string
  idx: number
  at: Date
  action: string
  repository: RepositoryKey | null
  tag: string | null
  digest: string | null
  parameters: string | null
  reference: string | null
  subject: string
  name: string | null
  address: string | null
  agent: string | null
  request: string | null
  head: boolean | null
  status: number | null
}

const PULL = 'pull'
const BATCHED: ReadonlySet<string> = new Set([PULL, ...ACCESS_ACTIONS])

/** An entry's cursor as text: from where a later reading goes on. Those of a batch say their place in it. */
export function auditCursor({ position, index, action }: AuditCursor & Pick<AuditEntry, 'action'>): string {
  return BATCHED.has(action) ? `${position}.${index}` : position
}

/**
 * A page of the trail up to `end`, after a cursor, in the order of positions. `pulls`: whether pulls of manifests are among it.
 * One statement with its own look-ups, so that the next page may come from another version of the read models.
 */
export async function auditPage(
  pool: Pool,
  schema: string,
  filter: AuditFilter,
  range: { readonly after: AuditCursor | undefined; readonly end: Position; readonly limit: number; readonly pulls: boolean },
): Promise<AuditEntry[]> {
  const values: unknown[] = []
  const value = (each: unknown): string => `$${values.push(each)}`
  const after = value(range.after === undefined ? '-1' : String(positionNumber(range.after.position)))
  const later = `(pos, idx) > (${after}, ${value(range.after?.index ?? 0)})`
  const limit = value(range.limit)
  const common = [`pos <= ${value(String(positionNumber(range.end)))}`, ...commonConditions(schema, filter, value)]
  const arms = [
    ...(filter.action === PULL ? [] : [trailArm(schema, [later, ...common, ...trailConditions(schema, filter, value)], limit)]),
    ...(range.pulls && (filter.action ?? PULL) === PULL
      ? [pullsArm(schema, [later, ...common, ...pullConditions(schema, filter, value)], limit)]
      : []),
  ]
  if (arms.length === 0) return []
  const { rows } = await pool.query<EntryRow>(
    `select e.pos, e.idx, e.at, e.action, repository.value as repository, e.tag, coalesce(e.digest, digest.value) as digest, e.parameters,
            reference.value as reference, who.subject, who.name, who.address, who.agent, e.request, e.head, e.status
     from (select * from (${arms.join(' union all ')}) arms order by pos, idx limit ${limit}) e
     left join ${schema}.repository_names repository on repository.n = e.repository
     left join ${schema}.digests digest on digest.n = e.numbered_digest
     left join ${schema}.pull_references reference on reference.n = e.reference
     left join ${schema}.callers who on who.caller = e.caller
     order by e.pos, e.idx`,
    values,
  )
  return rows.map((row) => entryOf(row, positionLog(range.end)))
}

type AddValue = (value: unknown) => string

const SUBJECT_KINDS = ['user', 'robot', 'anonymous', 'operator', 'peer', 'system']

function commonConditions(schema: string, { actor, repository, since, until }: AuditFilter, value: AddValue): string[] {
  return [
    ...(actor === undefined
      ? []
      : [
          `caller in (select caller from ${schema}.callers
             where subject = any(${value(SUBJECT_KINDS.map((kind) => subjectKey(kind, actor.toLowerCase())))}) or name = ${value(actor)})`,
        ]),
    ...(repository === undefined ? [] : [`repository = (select n from ${schema}.repository_names where value = ${value(repository)})`]),
    ...(since === undefined ? [] : [since instanceof Date ? `at >= ${value(since)}` : `pos >= ${value(String(positionNumber(since)))}`]),
    ...(until === undefined ? [] : [until instanceof Date ? `at <= ${value(until)}` : `pos <= ${value(String(positionNumber(until)))}`]),
  ]
}

/** A push that moved no tag says its tags among the references only. */
function trailConditions(schema: string, { action, tag, digest, project }: AuditFilter, value: AddValue): string[] {
  return [
    ...(project === undefined ? [] : [happenedTo(schema, `${value([project])}::text[]`)]),
    ...(action === undefined ? [] : [`action = ${value(action)}`]),
    ...(tag === undefined ? [] : [`(tag = ${value(tag)} or action = 'push' and parameters::jsonb -> 'references' ? ${value(tag)})`]),
    ...(digest === undefined ? [] : [`digest = ${value(digest)}`]),
  ]
}

/** Of an entry of the trail: it happened to one of `projects` (a parameter that is an array of ids), to a robot of one, or in one. */
export function happenedTo(schema: string, projects: string): string {
  return `(${happenedIn(schema, projects)} or repository is null and (parameters::jsonb ->> 'project' = any(${projects})
    or parameters::jsonb ->> 'robot' in (select id from ${schema}.robots where project = any(${projects}))))`
}

/** Of an entry of the trail or a pull: it happened in a repository of one of `projects`. */
export function happenedIn(schema: string, projects: string): string {
  return `repository in (select n from ${schema}.repository_names where split_part(value, '/', 1) = any(${projects}))`
}

function pullConditions(schema: string, { tag, digest, project }: AuditFilter, value: AddValue): string[] {
  return [
    ...(project === undefined ? [] : [happenedIn(schema, `${value([project])}::text[]`)]),
    ...(tag === undefined ? [] : [`reference = (select n from ${schema}.pull_references where value = ${value(tag)})`]),
    ...(digest === undefined ? [] : [`digest = (select n from ${schema}.digests where value = ${value(digest)})`]),
  ]
}

function trailArm(schema: string, conditions: readonly string[], limit: string): string {
  return `(select pos, idx, at, action, repository, tag, digest, null::integer as numbered_digest, parameters, null::integer as reference,
                  caller, request, null::boolean as head, null::integer as status
           from ${schema}.trail where ${conditions.join(' and ')} order by pos, idx limit ${limit})`
}

function pullsArm(schema: string, conditions: readonly string[], limit: string): string {
  return `(select pos, idx, at, '${PULL}' as action, repository, null::text as tag, null::text as digest, digest as numbered_digest, null::text as parameters,
                  reference, caller, request, head, status
           from ${schema}.pulls where ${conditions.join(' and ')} order by pos, idx limit ${limit})`
}

function entryOf(row: EntryRow, log: string): AuditEntry {
  const { idx, at, action, status, parameters } = row
  const [kind = '', id = ''] = row.subject.split(':')
  return {
    position: position(log, row.pos),
    index: idx,
    at,
    action,
    repository: row.repository ?? undefined,
    tag: row.tag ?? undefined,
    digest: row.digest ?? undefined,
    parameters: parameters === null ? {} : (JSON.parse(parameters) as Record<string, unknown>),
    who: { kind, id, name: row.name ?? undefined },
    address: row.address ?? undefined,
    userAgent: row.agent ?? undefined,
    requestId: row.request ?? undefined,
    pull:
      status === null
        ? undefined
        : { artifact: 'manifest', reference: row.reference ?? row.digest ?? '', method: row.head === true ? 'HEAD' : 'GET', status },
  }
}

/** Every pull up to `end` by what the log says, those of blobs among them: the read models have none of these. */
export async function* pullsOfLog(
  log: EventLog,
  openPrivate: Reads['openPrivate'],
  filter: AuditFilter,
  end: Position,
): AsyncGenerator<AuditEntry> {
  if ((filter.action ?? PULL) !== PULL) return
  const { since } = filter
  for await (const recorded of log.readAll(['activity'], since === undefined || since instanceof Date ? 'start' : { at: since })) {
    if (comparePositions(recorded.position, end) > 0) return
    if (!isActivity(recorded.event) || recorded.event.type !== 'PullsRecorded') continue
    for (const entry of await pullsOfEvent(recorded, recorded.event.data, openPrivate)) if (matches(entry, filter)) yield entry
  }
}

async function pullsOfEvent(recorded: Recorded, data: PullsData, openPrivate: Reads['openPrivate']): Promise<AuditEntry[]> {
  const callers = await Promise.all(
    data.callers.map(async (caller) => ({ ...caller, opened: caller.private === undefined ? undefined : await openPrivate(caller.private) })),
  )
  return data.pulls.map((row, index) => {
    const { caller, artifact, milliseconds, request, reference, method, status, range } = pullOf(row, data, callers)
    return {
      position: recorded.position,
      index,
      at: new Date(Date.parse(recorded.event.at) + milliseconds),
      action: PULL,
      repository: artifact.repository,
      tag: undefined,
      digest: artifact.digest,
      parameters: {},
      who: { kind: caller.kind, id: caller.subject, name: caller.opened?.name },
      address: caller.opened?.address,
      userAgent: caller.opened?.userAgent,
      requestId: request,
      pull: {
        artifact: artifact.blob === true ? 'blob' : 'manifest',
        reference: reference ?? artifact.digest,
        method,
        status,
        ...(range === null ? {} : { range }),
      },
    }
  })
}

function matches(entry: AuditEntry, { actor, repository, tag, digest, since, until }: AuditFilter): boolean {
  return (
    (actor === undefined || entry.who.id === actor.toLowerCase() || entry.who.name === actor) &&
    (repository === undefined || entry.repository === repository) &&
    (tag === undefined || entry.pull?.reference === tag) &&
    (digest === undefined || entry.digest === digest) &&
    (since === undefined || (since instanceof Date ? entry.at >= since : comparePositions(entry.position, since) >= 0)) &&
    (until === undefined || (until instanceof Date ? entry.at <= until : comparePositions(entry.position, until) <= 0))
  )
}

/** The subjects of callers without a login who were seen at an address at which a user was seen too. */
export async function anonymousBeside(pool: Pool, schema: string, user: string): Promise<string[]> {
  const { rows } = await pool.query<{ subject: string }>(
    `select distinct split_part(other.subject, ':', 2) as subject from ${schema}.callers who join ${schema}.callers other using (address)
     where who.subject = $1 and other.subject like $2 order by subject`,
    [subjectKey('user', user), subjectKey('anonymous', '%')],
  )
  return rows.map(({ subject }) => subject)
}

/** The id of the project that has a name, or of the last that had it. */
export async function projectId(pool: Pool, schema: string, name: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ id: string }>(`select id from ${schema}.projects where name = $1 order by live desc, number desc limit 1`, [name])
  return rows[0]?.id
}

/** The names of projects by their ids. */
export async function projectNames(pool: Pool, schema: string, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await pool.query<{ id: string; name: string }>(`select id, name from ${schema}.projects where id = any($1)`, [ids])
  return new Map(rows.map(({ id, name }) => [id, name]))
}
