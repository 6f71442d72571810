import type { Route } from './route.ts'

/** Every route of `/api/v2.0`. */
export const routes: readonly Route[] = []
