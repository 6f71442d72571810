import type { Route } from '../management/route.ts'
import { routes as access } from './access.ts'

/** Every route of `/api/varve/v1`: what only Varve has. */
export const routes: readonly Route[] = [...access]
