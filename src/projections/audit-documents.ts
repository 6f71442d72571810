import { splitRepositoryKey } from '../ports/streams.ts'
import { auditCursor } from './audit-queries.ts'
import type { AuditEntry } from './audit-queries.ts'

/** An entry with its repository's name in the place of its key. */
export type NamedEntry = AuditEntry & { readonly repositoryName: string | undefined }

/** Entries under the names that projects have, or had last, which `namesOf` looks up by their ids. One that has none stays as its id. */
export async function named(entries: readonly AuditEntry[], namesOf: (ids: readonly string[]) => Promise<ReadonlyMap<string, string>>): Promise<NamedEntry[]> {
  const ids = new Set(entries.flatMap(({ repository }) => (repository === undefined ? [] : [splitRepositoryKey(repository).project])))
  const names = await namesOf([...ids])
  return entries.map((entry) => {
    if (entry.repository === undefined) return { ...entry, repositoryName: undefined }
    const { project, path } = splitRepositoryKey(entry.repository)
    return { ...entry, repositoryName: `${names.get(project) ?? project}/${path}` }
  })
}

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
