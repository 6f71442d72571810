import { createHash } from 'node:crypto'
import type { Anonymous } from '../commands/access/rights.ts'

/**
 * Callers without a login share a subject, and so a key, for a month. Its id follows from the registry's and the month's, so that every
 * process knows it without asking another.
 */
export function createAnonymous(registry: string, now: () => Date): () => Anonymous {
  let month = ''
  let subject: Anonymous = { kind: 'anonymous', id: '' }
  return () => {
    const current = now().toISOString().slice(0, 7)
    if (current !== month) {
      month = current
      subject = { kind: 'anonymous', id: uuidOf(`anonymous ${registry} ${month}`) }
    }
    return subject
  }
}

/** RFC 9562 §5.8: an id of version 8, of a hash. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
