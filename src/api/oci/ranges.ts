import type { ByteRange } from '../../ports/blob-store.ts'

/**
 * A Range header over `sizeBytes` bytes (RFC 9110 §14.2): the one range that it asks for, `unsatisfiable`, or undefined where there
 * is none, or several, or a form that is not understood: then the whole is the answer. A range that ends before it begins is
 * answered 416, as the distribution-spec's conformance suite wants it.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '')
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  if (first === '') {
    const suffix = Number(last)
    return suffix === 0 || sizeBytes === 0 ? 'unsatisfiable' : { first: Math.max(0, sizeBytes - suffix), last: sizeBytes - 1 }
  }
  if (last !== '' && Number(last) < Number(first)) return 'unsatisfiable'
  if (Number(first) >= sizeBytes) return 'unsatisfiable'
  return { first: Number(first), last: last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) }
}

/** A chunk's `Content-Range: <first>-<last>`, without a unit, as the distribution-spec has it (some clients add one). */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim())
  if (match === null) return undefined
  const range = { first: Number(match[1]), last: Number(match[2]) }
  return range.last < range.first ? undefined : range
}

/** Whether a Range counts (RFC 9110 §13.1.5): If-Range, where there is one, must name just this entity. There are no dates here. */
export function mayRange(header: string | string[] | undefined, digest: string): boolean {
  return header === undefined || header === `"${digest}"`
}

/** Whether If-None-Match names this entity (RFC 9110 §13.1.2). Clients also send the digest without its quotes. */
export function matchesEtag(header: string | undefined, digest: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((each) => {
    const tag = each.trim().replace(/^W\//, '').replace(/^"(.*)"$/, '$1')
    return tag === '*' || tag === digest
  })
}
