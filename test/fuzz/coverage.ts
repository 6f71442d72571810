import { ROUTES } from './answers.ts'
import { CELLS, KINDS } from './plan.ts'
import type { Cell } from './plan.ts'

const keyOf = ({ kind, route, method }: Cell): string => `${kind}|${route}|${method}`

/** Counts how often each kind was done to each route and method. */
export function createCoverage() {
  const counts = new Map<string, number>()
  const count = (which: (cell: Cell) => boolean): number => CELLS.filter(which).reduce((sum, cell) => sum + (counts.get(keyOf(cell)) ?? 0), 0)
  return {
    add(cell: Cell): void {
      counts.set(keyOf(cell), (counts.get(keyOf(cell)) ?? 0) + 1)
    },
    ofKind: (kind: string): number => count((cell) => cell.kind === kind),
    /** Cells that were never reached. */
    missing: (): Cell[] => CELLS.filter((cell) => !counts.has(keyOf(cell))),
    /** A line for each kind: how often it was done to each route, over all methods. */
    table(): string {
      const width = Math.max(...KINDS.map((kind) => kind.length))
      const line = (name: string, cells: readonly (string | number)[]): string => [name.padEnd(width), ...cells.map((cell) => String(cell).padStart(9))].join(' ')
      const lines = KINDS.map((kind) => line(kind, ROUTES.map((route) => count((cell) => cell.kind === kind && cell.route === route))))
      return [line('', ROUTES), ...lines, `${counts.size} of ${CELLS.length} combinations of kind, route and method, the rarest ${Math.min(...counts.values())} times`].join('\n')
    },
  }
}
