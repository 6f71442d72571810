import type { Client, Entry, SearchOptions } from 'ldapts'
import { RESULT, DirectoryFailure, failureOf, resultCodeOf } from './failure.ts'
import type { UnavailableReason } from './failure.ts'

export type { Entry }

/** An attribute's values in their order; none where the entry has no such attribute. Names of attributes have no case (RFC 4512, 2.5). */
export function valuesOf(entry: Entry, attribute: string): readonly string[] {
  return rawValues(entry, attribute).map((value) => (typeof value === 'string' ? value : value.toString('utf8')))
}

export const firstOf = (entry: Entry, attribute: string): string | undefined => valuesOf(entry, attribute)[0]

/** Of an attribute that was asked for as bytes. */
export function bytesOf(entry: Entry, attribute: string): Buffer | undefined {
  return rawValues(entry, attribute).find((value) => typeof value !== 'string')
}

function rawValues(entry: Entry, attribute: string): readonly (string | Buffer)[] {
  const wanted = attribute.toLowerCase()
  // The name is no attribute, though ldapts keeps it beside them.
  const key = Object.keys(entry).find((name) => name !== 'dn' && name.toLowerCase() === wanted)
  const value = key === undefined ? [] : (entry[key] ?? [])
  return Array.isArray(value) ? value : [value]
}

/**
 * As many entries as there are, by pages (RFC 2696), or no more than `sizeLimit` of them. A base DN that the directory does not have is
 * told as `baseUnknown`; a list that the directory cuts off at a limit of its own is a failure, never a shorter list.
 */
export async function search(
  client: Client,
  base: string,
  options: SearchOptions,
  baseUnknown: UnavailableReason,
): Promise<readonly Entry[]> {
  try {
    const { searchEntries } = await client.search(
      base,
      options.sizeLimit === undefined ? { ...options, paged: { pageSize: PAGE } } : options,
    )
    return searchEntries
  } catch (error) {
    const code = resultCodeOf(error)
    const unknown = code === RESULT.noSuchObject || code === RESULT.invalidDnSyntax || code === RESULT.referral
    throw unknown ? new DirectoryFailure(baseUnknown, `LDAP result ${code}`) : failureOf(error, 'search refused')
  }
}

/** Active Directory gives no more in a page, as it is installed. */
const PAGE = 1000

/**
 * All values of an attribute of which Active Directory gave a first part only, under the name `<attribute>;range=0-1499` (MS-ADTS
 * 3.1.1.3.1.3.3): the next part is asked for, from the entry itself, until one ends with `*`.
 */
export async function allValuesOf(
  client: Client,
  entry: Entry,
  attribute: string,
  baseUnknown: UnavailableReason,
): Promise<readonly string[]> {
  const values = [...valuesOf(entry, attribute)]
  let part = rangeIn(entry, attribute)
  while (part !== undefined) {
    values.push(...valuesOf(part.entry, part.name))
    if (part.last === undefined) break
    const next = part.last + 1
    const [more] = await search(
      client,
      entry.dn,
      { scope: 'base', attributes: [`${attribute};range=${next}-*`], sizeLimit: 1 },
      baseUnknown,
    )
    part = more === undefined ? undefined : rangeIn(more, attribute)
    // A part that does not go on where the last one ended would be asked for without end.
    if (part !== undefined && part.first !== next) throw new DirectoryFailure('search refused', 'range')
  }
  return values
}

function rangeIn(
  entry: Entry,
  attribute: string,
): { readonly entry: Entry; readonly name: string; readonly first: number; readonly last?: number } | undefined {
  for (const name of Object.keys(entry)) {
    const [, base = '', first, last] = /^([^;]+);range=(\d+)-(\d+|\*)$/i.exec(name) ?? []
    if (base.toLowerCase() === attribute.toLowerCase())
      return { entry, name, first: Number(first), ...(last === '*' ? {} : { last: Number(last) }) }
  }
  return undefined
}
