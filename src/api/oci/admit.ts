import { randomUUID } from 'node:crypto'
import { isRefusal, refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import type { Digest } from '../../oci/digest.ts'
import { isReservedProject, splitRepositoryName } from '../../oci/names.ts'
import type { RepositoryName, Tag } from '../../oci/names.ts'
import { may, mayCreateProject, mayPull } from '../../commands/access/rights.ts'
import type { Action } from '../../commands/access/rights.ts'
import { projectsAggregate } from '../../commands/project/aggregate.ts'
import { covers } from '../../identity/tokens/scope.ts'
import { repositoryKey } from '../../ports/streams.ts'
import type { RepositoryKey } from '../../ports/streams.ts'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import type { Scope } from '../authenticate.ts'
import { perform } from '../perform.ts'
import { noteRefusal } from '../refusals.ts'
import type { Registry } from '../registry.ts'
import type { RepositoryExchange } from './exchange.ts'
import { neededFor, unauthorized } from './challenge.ts'

export type Admitted = { readonly key: RepositoryKey; readonly project: ProjectRow }

/**
 * Lets a request through to a repository, or says why not. Where the caller may not even pull, the answer is `hidden`, the same as for a
 * repository that is not there; a caller who is nobody, or whose token is too narrow, is told to log in, whether it is there or not.
 */
export async function admit(
  registry: Registry,
  exchange: RepositoryExchange,
  action: Action,
  what: Digest | Tag | undefined,
  hidden: Refusal,
): Promise<Admitted | Refusal> {
  const { subject, scope, name } = exchange
  const project = await registry.identity.project(splitRepositoryName(name).project)
  const refuse = (reason: 'scope' | 'role'): void => {
    noteRefusal(registry, exchange, { reason, action, ...(project === undefined ? {} : { repository: admitted(project, name).key }) })
  }
  if (!isInScope(scope, name, action)) {
    refuse('scope')
    return unauthorized(registry, { needed: neededFor(name, action), error: 'insufficient_scope' })
  }
  if (project !== undefined && may(action, subject, project, what, registry.now())) return admitted(project, name)
  if (subject.kind === 'anonymous') return unauthorized(registry, { needed: neededFor(name, action) })
  if (project !== undefined) refuse('role')
  return project !== undefined && mayPull(subject, project, what, registry.now()) ? refusal('DENIED') : hidden
}

function isInScope(scope: Scope | undefined, name: RepositoryName, action: Action): boolean {
  return scope === undefined || covers(scope, { type: 'repository', name, actions: [action] })
}

function admitted(project: ProjectRow, name: RepositoryName): Admitted {
  return { project, key: repositoryKey(project.id, splitRepositoryName(name).path) }
}

/** As `admit` for a push; a project that is not there is made, private, where the caller may create projects: they become its projectAdmin. */
export async function admitPush(registry: Registry, exchange: RepositoryExchange, what: Digest | Tag | undefined): Promise<Admitted | Refusal> {
  const found = await findForPush(registry, exchange, what)
  if (found !== 'to be made') return found
  const { subject, name } = exchange
  const owner = subject.kind === 'user' ? { owner: subject.id } : {}
  const command = { type: 'CreateProject', id: randomUUID(), name: splitRepositoryName(name).project, ...owner, visibility: 'private' } as const
  await perform(registry, exchange, projectsAggregate(registry.decisionRows), command)
  // Whoever made it: layers are pushed side by side, and each may have found no project.
  return admit(registry, exchange, 'push', what, denied)
}

/** What `admitPush` would refuse; nothing is made. */
export async function refusedPush(registry: Registry, exchange: RepositoryExchange, what: Digest | Tag | undefined): Promise<Refusal | undefined> {
  const found = await findForPush(registry, exchange, what)
  return isRefusal(found) ? found : undefined
}

const denied = refusal('DENIED')

async function findForPush(registry: Registry, exchange: RepositoryExchange, what: Digest | Tag | undefined): Promise<Admitted | Refusal | 'to be made'> {
  const found = await admit(registry, exchange, 'push', what, denied)
  if (found !== denied) return found
  const { subject, name } = exchange
  const { project } = splitRepositoryName(name)
  // Another may have made it since it was looked for.
  if ((await registry.identity.project(project)) !== undefined) return admit(registry, exchange, 'push', what, denied)
  if (!mayCreateProject(subject, await registry.settings())) {
    noteRefusal(registry, exchange, { reason: 'role', action: 'project:create' })
    return denied
  }
  return isReservedProject(project) ? refusal('NAME_INVALID', `no project can be called ${project}`) : 'to be made'
}

/** Whether the caller may pull from another repository than the request's own, as for a mount. */
export async function mayPullFrom(registry: Registry, exchange: RepositoryExchange, name: RepositoryName, digest: Digest): Promise<Admitted | undefined> {
  const { subject, scope } = exchange
  if (!isInScope(scope, name, 'pull')) return undefined
  const project = await registry.identity.project(splitRepositoryName(name).project)
  if (project === undefined) return undefined
  if (mayPull(subject, project, digest, registry.now())) return admitted(project, name)
  noteRefusal(registry, exchange, { reason: 'role', action: 'pull', repository: admitted(project, name).key })
  return undefined
}

