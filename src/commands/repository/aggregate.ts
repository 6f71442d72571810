import type { DecisionRows } from '../../ports/decision-rows.ts'
import { streams } from '../../ports/streams.ts'
import type { RepositoryKey } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import { decide } from './decide.ts'
import type { RepositoryCommand } from './decide.ts'
import type { RepositoryFact } from './events.ts'
import { evolve } from './state.ts'
import type { RepositoryState } from './state.ts'

export function repositoryAggregate(rows: DecisionRows, key: RepositoryKey): Aggregate<RepositoryState, RepositoryCommand, RepositoryFact> {
  return { stream: streams.repository(key), load: (command) => rows.repository(key, namesIn(command)), evolve, decide }
}

function namesIn(command: RepositoryCommand) {
  switch (command.type) {
    case 'PushManifest':
      return { tags: command.tags, manifests: [command.digest, ...command.children], blobs: command.blobs }
    case 'DeleteTag':
      return { tags: [command.tag], manifests: [], blobs: [] }
    case 'DeleteManifest':
      return { tags: [], manifests: [command.digest], blobs: [] }
    case 'DeleteBlob':
      return { tags: [], manifests: [], blobs: [command.digest] }
  }
}
