import { seeded } from '../support/random.ts'
import { ROUTES } from './answers.ts'
import type { Route } from './answers.ts'
import { FRAMING } from './framing.ts'
import { HEADS } from './heads.ts'
import { MUTATIONS } from './mutations.ts'
import { METHODS } from './requests.ts'
import type { Method } from './requests.ts'
import { SAMENESS } from './sameness.ts'
import { TIMING } from './timing.ts'

export const RAW = { ...FRAMING, ...HEADS, ...TIMING }
export const KINDS = [...Object.keys(MUTATIONS), ...Object.keys(RAW), ...Object.keys(SAMENESS)]

/** A request to be made: of which route and method, and what is done to it. */
export type Cell = { readonly kind: string; readonly route: Route; readonly method: Method }

export const CELLS: readonly Cell[] = KINDS.flatMap((kind) => ROUTES.flatMap((route) => METHODS.map((method) => ({ kind, route, method }))))

/** What goes deep: a request that its route knows. */
const KNOWN: readonly Omit<Cell, 'kind'>[] = [
  ...(['base', 'catalog', 'tags', 'referrers', 'manifests', 'blobs', 'health', 'ready', 'metrics'] as const).flatMap((route) => [{ route, method: 'GET' }, { route, method: 'HEAD' }] as const),
  { route: 'manifests', method: 'PUT' }, { route: 'manifests', method: 'DELETE' }, { route: 'blobs', method: 'DELETE' },
  { route: 'upload', method: 'PATCH' }, { route: 'upload', method: 'PUT' }, { route: 'upload', method: 'GET' }, { route: 'upload', method: 'DELETE' },
  // An upload may be opened, pushed at once, or mounted.
  { route: 'start', method: 'POST' }, { route: 'start', method: 'POST' }, { route: 'start', method: 'POST' },
]

/** The cells in the order that the seed says: every second request takes the next of all, and the others are known to their routes. */
export function planOf(seed: number): (index: number) => Cell {
  const random = seeded(seed)
  const order = [...CELLS]
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1)
    ;[order[last], order[other]] = [at(order, other), at(order, last)]
  }
  return (index) => {
    const turn = Math.floor(index / 2)
    return index % 2 === 0 ? at(order, turn) : { kind: at(KINDS, turn), ...at(KNOWN, Math.floor(turn / KINDS.length)) }
  }
}

function at<T>(from: readonly T[], index: number): T {
  const found = from[index % from.length]
  if (found === undefined) throw new Error('nothing to choose from')
  return found
}
