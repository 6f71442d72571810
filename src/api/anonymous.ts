import { createHash } from 'node:crypto'
import type { Anonymous } from '../commands/access/rights.ts'

/**
 * Callers without a login share subjects, and so keys: in each month 256, told by their address. With a key for each address, a flood
 * would make as many as it has addresses; with one for all, forgetting somebody would take every other caller's address with theirs, and
 * so it takes one part in 256. The ids follow from the registry's, the month's and the part's, so that every process knows them without
 * asking another.
 */
export function createAnonymous(registry: string, now: () => Date): (address: string) => Anonymous {
  let month = ''
  let subjects: (Anonymous | undefined)[] = []
  return (address) => {
    const current = now().toISOString().slice(0, 7)
    if (current !== month) {
      month = current
      subjects = []
    }
    const part = partOf(address)
    return (subjects[part] ??= { kind: 'anonymous', id: uuidOf(`anonymous ${registry} ${month} ${part}`) })
  }
}

/** One of 256, by FNV-1a, its bytes folded into one: it hides nothing, and each pull without a login asks it. */
function partOf(address: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < address.length; at += 1) hash = Math.imul(hash ^ address.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & 0xff
}

/** RFC 9562 §5.8: an id of version 8, of a hash. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
