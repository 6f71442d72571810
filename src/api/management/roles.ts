import type { Role } from '../../commands/project/events.ts'

/** The numbers that roles have on the wire, from the one that may do most to the one that may do least. Harbor has no auditor: 6 is Varve's own. */
const NUMBERS = [
  ['projectAdmin', 1],
  ['maintainer', 4],
  ['developer', 2],
  ['guest', 3],
  ['limitedGuest', 5],
  ['auditor', 6],
] as const satisfies readonly (readonly [Role, number])[]

const byRole: ReadonlyMap<Role, number> = new Map(NUMBERS)
const byNumber: ReadonlyMap<number, Role> = new Map(NUMBERS.map(([role, number]) => [number, role]))

export function roleNumber(role: Role): number {
  const number = byRole.get(role)
  if (number === undefined) throw new Error(`the role ${role} has no number`)
  return number
}

export function roleOfNumber(number: number): Role | undefined {
  return byNumber.get(number)
}

/** The numbers of roles, each once, the one that may do most first. */
export function roleNumbers(roles: Iterable<Role>): number[] {
  const given = new Set(roles)
  return NUMBERS.filter(([role]) => given.has(role)).map(([, number]) => number)
}
