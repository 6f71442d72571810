import { routes as permissions } from './permissions.ts'
import type { Route } from './route.ts'
import { routes as userGroups } from './user-groups.ts'
import { routes as users } from './users.ts'

/** Every route of `/api/v2.0`. Where two paths fit a request, the first one answers. */
export const routes: readonly Route[] = [...users, ...userGroups, ...permissions]
