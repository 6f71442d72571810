import { parseDigest } from './digest.ts'
import type { Digest } from './digest.ts'

/** A repository's name as a client writes it; `splitRepositoryName` makes its spellings one. */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' }

export type Tag = string & { readonly __brand: 'Tag' }

export type Reference = { readonly kind: 'tag'; readonly tag: Tag } | { readonly kind: 'digest'; readonly digest: Digest }

const PART = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const NAME = new RegExp(`^${PART}(?:/${PART})*$`)
const ONE_PART = new RegExp(`^${PART}$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/** Many clients hold host and name together to 255 characters, so a longer one could not be pulled by them. */
const MAX_NAME_LENGTH = 255

/** By the grammar of the distribution specification's `<name>`. */
export function parseRepositoryName(text: string): RepositoryName | undefined {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text) ? (text as RepositoryName) : undefined
}

export function parseTag(text: string): Tag | undefined {
  return TAG.test(text) ? (text as Tag) : undefined
}

/** No tag holds a colon, so what holds one is a digest or nothing. */
export function parseReference(text: string): Reference | undefined {
  if (text.includes(':')) {
    const digest = parseDigest(text)
    return digest === undefined ? undefined : { kind: 'digest', digest }
  }
  const tag = parseTag(text)
  return tag === undefined ? undefined : { kind: 'tag', tag }
}

/** The project is the first part of a name and the path is the rest; a name of one part is a path in `library`. */
export function splitRepositoryName(name: RepositoryName): { readonly project: string; readonly path: string } {
  const slash = name.indexOf('/')
  return slash < 0 ? { project: 'library', path: name } : { project: name.slice(0, slash), path: name.slice(slash + 1) }
}

const RESERVED: ReadonlySet<string> = new Set(['asof', 'v2', 'api', 'service'])

/** Whether a project can have this name: one part of a repository's, and no path of the registry itself. */
export function isProjectName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && ONE_PART.test(text) && !isReservedProject(text)
}

/** Names that are paths of the registry itself, so no project may have them. */
export function isReservedProject(name: string): boolean {
  return RESERVED.has(name)
}
