import { auditCursor } from './audit-queries.ts'
import type { AuditEntry } from './audit-queries.ts'

/** An entry with its repository's name in the place of its key. */
export type NamedEntry = AuditEntry & { readonly repositoryName: string | undefined }

/** An entry as JSON; what it has not is left out. */
export function auditDocument(entry: NamedEntry): Readonly<Record<string, unknown>> {
  return {
    cursor: auditCursor(entry),
    time: entry.at.toISOString(),
    action: entry.action,
    repository: entry.repositoryName,
    tag: entry.tag,
    digest: entry.digest,
    ...entry.pull,
    ...(entry.pull === undefined ? { parameters: entry.parameters } : {}),
    who: entry.who,
    address: entry.address,
    userAgent: entry.userAgent,
    requestId: entry.requestId,
  }
}

/** A JSON line an entry. */
export function auditLines(entries: readonly NamedEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(auditDocument(entry))}\n`).join('')
}
