import { mayInProject, mayInSystem } from '../../commands/access/rights.ts'
import type { Subject } from '../../commands/access/rights.ts'
import type { Permission } from '../../commands/access/roles.ts'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import { apiError, forWantOf } from './route.ts'
import type { ApiError } from './route.ts'

export const unauthorized = apiError(401, 'UNAUTHORIZED', 'log in first')
export const forbidden = apiError(403, 'FORBIDDEN', 'this is more than your role allows')
export const noSuchProject = apiError(404, 'NOT_FOUND', 'there is no such project')
export const busy = apiError(429, 'TOO_MANY_REQUEST', 'too many passwords are being checked, or were wrong: try again later')

/** Why somebody may not do something on the registry itself; undefined where they may. */
export function refusedInSystem(subject: Subject, permission: Permission): ApiError | undefined {
  if (mayInSystem(subject, permission)) return undefined
  return subject.kind === 'anonymous' ? unauthorized : forWantOf(permission, forbidden)
}

/** Why somebody may not do something in a project; undefined where they may. One that they may not read is answered as one that is not there. */
export function refusedInProject(subject: Subject, project: ProjectRow | undefined, permission: Permission): ApiError | undefined {
  if (project !== undefined && mayInProject(subject, project, permission)) return undefined
  if (subject.kind === 'anonymous') return unauthorized
  if (project === undefined) return noSuchProject
  return forWantOf(permission, mayInProject(subject, project, { resource: 'project', action: 'read' }) ? forbidden : noSuchProject, project.id)
}
