import { routes as auditLogs } from './audit-logs.ts'
import { routes as configurations } from './configurations.ts'
import { routes as ldap } from './ldap.ts'
import { routes as members } from './members.ts'
import { routes as metadatas } from './metadatas.ts'
import { routes as oidc } from './oidc.ts'
import { documentRoute } from './openapi.ts'
import type { Api } from './openapi.ts'
import { routes as permissions } from './permissions.ts'
import { routes as projectRobots } from './project-robots.ts'
import { routes as projects } from './projects.ts'
import { routes as robots } from './robots.ts'
import type { Route } from './route.ts'
import { routes as system } from './system.ts'
import { routes as userGroups } from './user-groups.ts'
import { routes as users } from './users.ts'

export const MANAGEMENT_API: Api = {
  title: 'The management API of Varve',
  description: "For all that both have, this is Harbor's API v2.0 on the wire.",
  path: '/api/v2.0',
}

/** Every route of `/api/v2.0`. Where two paths fit a request, the first one answers. */
export const routes: readonly Route[] = [
  ...users, ...userGroups, ...robots, ...projectRobots, ...permissions, ...projects, ...members, ...metadatas, ...auditLogs, ...configurations,
  ...ldap, ...oidc, ...system, documentRoute(() => routes, MANAGEMENT_API),
]
