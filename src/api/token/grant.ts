import { ACTIONS, may, mayCreateProject } from '../../commands/access/rights.ts'
import type { ProjectAccess, Subject } from '../../commands/access/rights.ts'
import { isReservedProject, parseRepositoryName, splitRepositoryName } from '../../oci/names.ts'
import type { Access } from '../../identity/tokens/scope.ts'
import type { Registry } from '../registry.ts'

/** What may be done here may be done in every project, and so also where there is none yet. */
const ANY_PROJECT: ProjectAccess = { id: '', visibility: 'private', members: new Map() }

/**
 * What somebody gets of what they ask a token for: of each resource the actions that their role allows, as it is now, and nothing of one
 * that they may not see, whether it is there or not. Who pushes below a project that is not there, and may create it, gets that.
 */
export async function grant(registry: Pick<Registry, 'identity' | 'settings' | 'now'>, subject: Subject, asked: readonly Access[]): Promise<Access[]> {
  const granted = await Promise.all(
    asked.map(async (access) => ({ ...access, actions: access.type === 'repository' ? await onRepository(registry, subject, access) : onRegistry(subject, access) })),
  )
  return granted.filter(({ actions }) => actions.length > 0)
}

async function onRepository({ identity, settings, now }: Pick<Registry, 'identity' | 'settings' | 'now'>, subject: Subject, asked: Access): Promise<string[]> {
  const name = parseRepositoryName(asked.name)
  if (name === undefined) return []
  const wanted = ACTIONS.filter((action) => asked.actions.includes(action))
  const projectName = splitRepositoryName(name).project
  const project = await identity.project(projectName)
  const allowed = wanted.filter((action) => may(action, subject, project ?? ANY_PROJECT, undefined, now()))
  if (project !== undefined || allowed.length > 0) return allowed
  const creates = wanted.includes('push') && !isReservedProject(projectName) && mayCreateProject(subject, await settings())
  return creates ? wanted.filter((action) => action !== 'delete') : []
}

/** The catalogue shows each caller what they may see, so whoever logged in may ask for it. */
function onRegistry(subject: Subject, { type, name, actions }: Access): string[] {
  return type === 'registry' && name === 'catalog' && actions.includes('*') && subject.kind !== 'anonymous' ? ['*'] : []
}
