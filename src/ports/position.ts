/** Where an event stands in its log: `<log>-<number>`, where `<log>` is 8 of `[a-z0-9]`. Read by the functions below and by nobody else. */
export type Position = string & { readonly __brand: 'Position' }

const FORM = /^([a-z0-9]{8})-(0|[1-9][0-9]{0,18})$/

/** Throws where the parts make no position. */
export function position(log: string, number: bigint | number | string): Position {
  return parsePosition(`${log}-${String(number)}`) ?? refuse(`${log}-${String(number)}`)
}

function refuse(text: string): never {
  throw new Error(`not a position: ${text}`)
}

/** Reads the form only. Whether the log ever gave it, `EventLog.resolve` says. */
export function parsePosition(text: string): Position | undefined {
  return FORM.test(text) ? (text as Position) : undefined
}

/** The log that a position is of, as LogNamed names it. */
export function positionLog(position: Position): string {
  return position.slice(0, 8)
}

/** Where a position stands in the order of its log; gaps between two numbers say nothing. */
export function positionNumber(position: Position): bigint {
  return BigInt(position.slice(9))
}

/** Negative, zero or positive, as `a` stands before, at or after `b`. Positions of two logs have no order: that throws. */
export function comparePositions(a: Position, b: Position): number {
  if (positionLog(a) !== positionLog(b)) throw new Error(`${a} and ${b} are positions of two logs`)
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
