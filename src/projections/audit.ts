import type { Recorded } from '../ports/event.ts'
import { positionNumber } from '../ports/position.ts'
import { repositoryOfStream } from '../ports/streams.ts'
import { callerColumns, callerRow } from './caller.ts'
import { isActivity, stateFact } from './facts.ts'
import type { StateFact } from './facts.ts'
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
  switch (fact.type) {
    case 'LogNamed':
      return { action, parameters: JSON.stringify({ log: fact.data.log }) }
    case 'RegistryCreated':
      return { action, parameters: JSON.stringify({ registry: fact.data.registry }) }
    case 'UserCreated':
      return { action, parameters: JSON.stringify({ user: fact.data.user, number: fact.data.number, administrator: fact.data.administrator }) }
    case 'ProjectCreated':
      return { action, parameters: JSON.stringify(fact.data) }
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
    default:
      return unknown(fact, recorded)
  }
}

function unknown(fact: never, recorded: Recorded): never {
  throw new Error(`the audit trail has no words for ${JSON.stringify(fact)} at ${recorded.position}`)
}

/** The codes of the trail. `pull` stands beside them for the rows of the pulls. */
export const ACTIONS = {
  LogNamed: 'log.named',
  RegistryCreated: 'registry.created',
  UserCreated: 'user.created',
  ProjectCreated: 'project.created',
  BlobUploaded: 'blob.uploaded',
  BlobMounted: 'blob.mounted',
  RepositoryCreated: 'repository.created',
  ManifestPushed: 'push',
  TagAssigned: 'tag.assigned',
  TagDeleted: 'tag.deleted',
  ManifestDeleted: 'manifest.deleted',
  BlobDeleted: 'blob.deleted',
} as const satisfies Record<StateFact['type'], string>
