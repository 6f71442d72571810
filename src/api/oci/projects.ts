import { randomUUID } from 'node:crypto'
import { refusal, isRefusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import { isReservedProject, splitRepositoryName } from '../../oci/names.ts'
import { projectsAggregate } from '../../commands/project/aggregate.ts'
import { mayCreateProject } from '../../commands/rights.ts'
import { repositoryKey } from '../../ports/streams.ts'
import type { RepositoryKey } from '../../ports/streams.ts'
import type { Registry } from '../registry.ts'
import type { RepositoryExchange } from './exchange.ts'

/** The repository that a push goes to. A project that is not there is created, private, where the pusher may create projects. */
export async function projectFor(registry: Registry, exchange: RepositoryExchange): Promise<RepositoryKey | Refusal> {
  const { project, path } = splitRepositoryName(exchange.name)
  const found = await registry.reader.project(project)
  if (found !== undefined) return repositoryKey(found.id, path)
  if (isReservedProject(project)) return refusal('NAME_INVALID', `${project} is no name for a project`)
  if (!mayCreateProject(exchange.subject, project, registry.now())) return refusal('DENIED', `there is no project ${project}`)
  const command = { id: randomUUID(), name: project, owner: exchange.subject.id, visibility: 'private' as const }
  const handled = await registry.handle(projectsAggregate(registry.queries()), command, exchange.command())
  if (handled.position !== undefined) await registry.visible(handled.position)
  if (isRefusal(handled.outcome)) return handled.outcome
  // Nothing was appended where another push had created it: its id is the one that stands.
  return repositoryKey(handled.outcome.length > 0 ? command.id : (handled.state.named ?? command.id), path)
}
