import type { Route } from '../management/route.ts'
import { routes as access } from './access.ts'
import { routes as audit } from './audit.ts'
import { routes as workloads } from './workloads.ts'

/** Every route of `/api/varve/v1`. */
export const routes: readonly Route[] = [...access, ...audit, ...workloads]
