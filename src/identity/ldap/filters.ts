import { AndFilter, EqualityFilter, FilterParser, OrFilter, PresenceFilter, SubstringFilter } from 'ldapts'
import type { Filter } from 'ldapts'
import { DirectoryFailure } from './failure.ts'
import type { UnavailableReason } from './failure.ts'

/*
 * Filters are built as values and go to the wire as such (RFC 4511, 4.5.1.7): what somebody typed is never put into a filter's text, so
 * nothing in it can be read as an operator, a wildcard or another clause. Only the operator's own filter is text.
 */

/** The operator's filter; undefined where there is none. */
export function parsedFilter(text: string, notValid: UnavailableReason): Filter | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  try {
    return FilterParser.parseString(withCharacters(trimmed))
  } catch {
    throw new DirectoryFailure(notValid)
  }
}

/** ldapts reads `\c3\a9` as two characters, where RFC 4515 means two bytes of one. */
function withCharacters(filter: string): string {
  return filter.replace(/(?:\\[89a-f][0-9a-f])+/gi, (bytes) => Buffer.from(bytes.replaceAll('\\', ''), 'hex').toString('utf8'))
}

export const equals = (attribute: string, value: string | Buffer): Filter => new EqualityFilter({ attribute, value })
export const contains = (attribute: string, value: string): Filter =>
  value === '' ? new PresenceFilter({ attribute }) : new SubstringFilter({ attribute, any: [value] })
export const any = (filters: readonly Filter[]): Filter => new OrFilter({ filters: [...filters] })
export const all = (...filters: readonly (Filter | undefined)[]): Filter =>
  new AndFilter({ filters: filters.filter((filter) => filter !== undefined) })

/**
 * The entry of this name. Each kind of server has one of these attributes alone (RFC 5020; MS-ADTS 3.1.1.3.1.2.4): elsewhere
 * `distinguishedName` is what `member` is derived from (RFC 4519, 2.7), and would find whatever lists the name.
 */
export const isNamed = (dn: string, activeDirectory: boolean): Filter => equals(activeDirectory ? 'distinguishedName' : 'entryDN', dn)
