import type { LogFact } from '../commands/log/events.ts'
import type { Recorded } from '../ports/event.ts'
import { positionNumber } from '../ports/position.ts'
import { repositoryOfStream } from '../ports/streams.ts'
import { callerColumns, callerRow } from './caller.ts'
import { isActivity, isContent, stateFact } from './facts.ts'
import type { IdentityFact, StateFact } from './facts.ts'
import { put } from './projection.ts'
import type { Change, Projection, Row, Table } from './projection.ts'

/** A row for each event of the state lane: codes and parameters; the words are made at the edge. */
export const trail: Table = {
  name: 'trail',
  columns: {
    pos: 'bigint',
    at: 'timestamptz',
    action: 'text',
    repository: { numbered: 'repository_names' },
    tag: 'text',
    digest: 'text',
    parameters: 'text',
    ...callerColumns,
  },
  key: ['pos'],
  once: true,
  indexes: ['(repository, pos)', '(action, pos)'],
}

/** What was done to the registry, by whom, from where. */
export const audit: Projection = {
  name: 'audit',
  tables: [trail],
  needs: (event) => (isActivity(event) || event.private === undefined ? {} : { sealed: [event.private] }),
  fold(recorded, context): readonly Change[] {
    const { event } = recorded
    if (isActivity(event)) return []
    const row = {
      pos: positionNumber(recorded.position),
      at: event.at,
      repository: repositoryOfStream(recorded.stream) ?? null,
      tag: null,
      digest: null,
      parameters: '{}',
      ...callerRow(event.actor.kind, event.actor.subject, context.opened(event.private), event.requestId),
      ...described(stateFact(event), recorded),
    }
    return [put(trail, row)]
  },
}

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
function inClear(fact: IdentityFact | LogFact): Readonly<Record<string, unknown>> {
  if (fact.type === 'PersonChanged') return { user: fact.data.user }
  return Object.fromEntries(Object.entries(fact.data).filter(([name]) => !SEALED.has(name)))
}

const SEALED: ReadonlySet<string> = new Set(['person', 'verifier', 'privateKey', 'key', 'sealed'])

/** The codes of the trail. `pull` stands beside them for the rows of the pulls. */
export const ACTIONS = {
  LogNamed: 'log.named',
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
