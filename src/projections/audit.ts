import type { AccessData, AccessEntry } from '../commands/activity/events.ts'
import type { SubjectForgotten } from '../commands/user/events.ts'
import type { FactOf, Recorded } from '../ports/event.ts'
import { positionNumber } from '../ports/position.ts'
import { repositoryOfStream } from '../ports/streams.ts'
import { callerColumns, callerOf, callers, subjectKey } from './caller.ts'
import { isActivity, isContent, stateFact } from './facts.ts'
import type { IdentityFact, LogsFact, StateFact } from './facts.ts'
import { put, set } from './projection.ts'
import type { Change, FoldContext, Projection, Row, Table } from './projection.ts'

/** A row for each event of the state lane, and for each entry of access: codes and parameters; the words are made at the edge. */
const trail: Table = {
  name: 'trail',
  columns: {
    pos: 'bigint',
    idx: 'integer',
    at: 'timestamptz',
    action: 'text',
    repository: { numbered: 'repository_names' },
    tag: 'text',
    digest: 'text',
    parameters: 'text',
    ...callerColumns,
  },
  key: ['pos', 'idx'],
  once: true,
  indexes: ['(repository, pos)', '(action, pos)'],
}

/** What was done to the registry, by whom, from where; and who logged in, was refused, or read the trail. */
export const audit: Projection = {
  name: 'audit',
  tables: [trail, callers],
  needs(event) {
    if (!isActivity(event)) return event.private === undefined ? {} : { sealed: [event.private] }
    return event.type === 'AccessRecorded' ? { sealed: event.data.callers.flatMap((caller) => (caller.private === undefined ? [] : [caller.private])) } : {}
  },
  fold(recorded, context): readonly Change[] {
    const { event } = recorded
    if (isActivity(event)) return event.type === 'AccessRecorded' ? accessChanges(recorded, event.data, context) : []
    const fact = stateFact(event)
    const { caller, change } = callerOf({ ...event.actor, ...(event.private === undefined ? {} : { private: event.private }) }, context)
    const row = {
      pos: positionNumber(recorded.position),
      idx: 0,
      at: event.at,
      repository: repositoryOfStream(recorded.stream) ?? null,
      tag: null,
      digest: null,
      parameters: '{}',
      caller,
      request: event.requestId ?? null,
      ...described(fact, recorded),
    }
    return [change, put(trail, row), ...(fact.type === 'SubjectForgotten' ? blanked(fact.data) : [])]
  },
}

function blanked({ user, shared = [] }: FactOf<typeof SubjectForgotten>['data']): Change[] {
  const subjects = [subjectKey('user', user), ...shared.map((each) => subjectKey('anonymous', each))]
  return subjects.map((subject) => set(callers, { subject }, { name: null, address: null, agent: null }))
}

function accessChanges(recorded: Recorded, data: AccessData, context: FoldContext): Change[] {
  const pos = positionNumber(recorded.position)
  const at = Date.parse(recorded.event.at)
  const who = data.callers.map((caller) => callerOf(caller, context))
  const rows = data.entries.map((entry, idx): Change => {
    const caller = who[entry.caller]?.caller
    if (caller === undefined) throw new Error(`entry ${recorded.event.id}.${idx} names no caller`)
    const request = 'request' in entry ? entry.request : null
    const when = new Date(at + entry.milliseconds).toISOString()
    return put(trail, { pos, idx, at: when, repository: null, tag: null, digest: null, caller, request, ...accessDescribed(entry) })
  })
  return [...who.map(({ change }) => change), ...rows]
}

function accessDescribed(entry: AccessEntry): Row {
  const said = (action: (typeof ACCESS_ACTIONS)[number], parameters: object): Row => ({ action, parameters: JSON.stringify(parameters) })
  switch (entry.what) {
    case 'login':
      return said('login', { by: entry.by })
    case 'token': {
      const { access, refresh, seconds } = entry
      return said('token.issued', { access, refresh, seconds })
    }
    case 'refusal':
    case 'refusals': {
      const { action, project, reason, repository = null } = entry
      return { ...said('refused', { action, count: 'count' in entry ? entry.count : undefined, project, reason }), repository }
    }
    case 'reading':
      return said(entry.of === 'trail' ? 'trail.read' : 'access.read', { asked: entry.asked, exported: entry.exported })
  }
}

/** The codes of the entries of access. */
export const ACCESS_ACTIONS = ['login', 'token.issued', 'refused', 'trail.read', 'access.read'] as const

function described(fact: StateFact, recorded: Recorded): Row {
  const action = ACTIONS[fact.type]
  if (!isContent(fact)) return { action, parameters: JSON.stringify({ ...ownerOf(recorded.stream), ...inClear(fact) }) }
  switch (fact.type) {
    case 'BlobUploaded':
      return { action, repository: fact.data.repository, digest: fact.data.digest, parameters: JSON.stringify({ size: fact.data.size }) }
    case 'BlobMounted': {
      const { repository, digest, size, from } = fact.data
      return { action, repository, digest, parameters: JSON.stringify({ size, from }) }
    }
    case 'RepositoryCreated':
      return { action }
    case 'ManifestPushed': {
      const { digest, ...parameters } = fact.data
      return { action, digest, parameters: JSON.stringify(parameters) }
    }
    case 'TagAssigned':
      return {
        action,
        tag: fact.data.tag,
        digest: fact.data.digest,
        parameters: JSON.stringify(fact.data.replaces === undefined ? {} : { replaces: fact.data.replaces }),
      }
    case 'TagDeleted':
      return { action, tag: fact.data.tag, digest: fact.data.digest }
    case 'ManifestDeleted':
    case 'BlobDeleted':
      return { action, digest: fact.data.digest }
  }
}

/** Whose stream it is: the data of its events do not say it again. */
function ownerOf(stream: string): Readonly<Record<string, string>> {
  const [, kind, id] = /^(user|robot|project)-(.+)$/.exec(stream) ?? []
  return kind === undefined || id === undefined ? {} : { [kind]: id }
}

/** What an event's data say that is not sealed: nothing of a person, and no secret, stands in the trail. */
function inClear(fact: IdentityFact | LogsFact): Readonly<Record<string, unknown>> {
  if (fact.type === 'PersonChanged') {
    const { user, moved } = fact.data
    return { user, ...(moved === undefined ? {} : { moved }) }
  }
  return Object.fromEntries(Object.entries(fact.data).filter(([name]) => !SEALED.has(name)))
}

const SEALED: ReadonlySet<string> = new Set(['person', 'verifier', 'privateKey', 'key', 'sealed'])

/** The codes of the state lane's events. `pull` stands beside them for the rows of the pulls. */
export const ACTIONS = {
  LogNamed: 'log.named',
  TamperingFound: 'log.tampering-found',
  RegistryCreated: 'registry.created',
  SettingChanged: 'setting.changed',
  RoleMatrixAdopted: 'role-matrix.adopted',
  SigningKeyMade: 'signing-key.made',
  VerifierKeyMade: 'verifier-key.made',
  UserCreated: 'user.created',
  PersonChanged: 'user.changed',
  UserDeleted: 'user.deleted',
  SubjectForgotten: 'user.forgotten',
  AdministratorGranted: 'administrator.granted',
  AdministratorRevoked: 'administrator.revoked',
  AuditorGranted: 'auditor.granted',
  AuditorRevoked: 'auditor.revoked',
  PasswordChanged: 'password.changed',
  CliSecretChanged: 'cli-secret.changed',
  UserGroupsChanged: 'user.groups-changed',
  GroupCreated: 'group.created',
  GroupRenamed: 'group.renamed',
  GroupDeleted: 'group.deleted',
  RobotCreated: 'robot.created',
  RobotChanged: 'robot.changed',
  RobotSecretRefreshed: 'robot.secret-refreshed',
  RobotDeleted: 'robot.deleted',
  ProjectCreated: 'project.created',
  ProjectDeletionBegun: 'project.deletion-begun',
  ProjectDeletionStopped: 'project.deletion-stopped',
  ProjectDeleted: 'project.deleted',
  VisibilityChanged: 'visibility.changed',
  MetadataChanged: 'metadata.changed',
  MemberAdded: 'member.added',
  MemberRoleChanged: 'member.role-changed',
  MemberRemoved: 'member.removed',
  BlobUploaded: 'blob.uploaded',
  BlobMounted: 'blob.mounted',
  RepositoryCreated: 'repository.created',
  ManifestPushed: 'push',
  TagAssigned: 'tag.assigned',
  TagDeleted: 'tag.deleted',
  ManifestDeleted: 'manifest.deleted',
  BlobDeleted: 'blob.deleted',
} as const satisfies Record<StateFact['type'], string>

/** What the trail can be asked for by its code. */
export const AUDIT_CODES: readonly string[] = [...Object.values(ACTIONS), ...ACCESS_ACTIONS, 'pull']
