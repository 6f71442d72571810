import { documentRoute } from '../management/openapi.ts'
import type { Api } from '../management/openapi.ts'
import type { Route } from '../management/route.ts'
import { routes as access } from './access.ts'
import { routes as audit } from './audit.ts'
import { routes as workloads } from './workloads.ts'

export const VARVE_API: Api = {
  title: "Varve's own API",
  description: 'What Harbor has not: who could do what and when, the trail and its auditors, and the workloads that log in as robots.',
  path: '/api/varve/v1',
}

/** Every route of `/api/varve/v1`. */
export const routes: readonly Route[] = [...access, ...audit, ...workloads, documentRoute(() => routes, VARVE_API)]
