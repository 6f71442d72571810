import { Type } from '@sinclair/typebox'
import type { ListAsked, ListColumn, ListColumns, ListFilter, ListOrder, ListValue, Page } from '../../projections/lists.ts'
import { pageLink } from '../reply.ts'
import { apiError } from './route.ts'
import type { Answer, ApiError, Asked } from './route.ts'

/** The parameters of a page, for a route's `query`. */
export const pageParameters = {
  page: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1, default: 1 }),
  page_size: Type.Integer({ minimum: 1, maximum: 100, default: 10 }),
}

/** The parameters of a list, for a route's `query`. */
export const listParameters = {
  ...pageParameters,
  q: Type.Optional(Type.String({ maxLength: 4_096 })),
  sort: Type.Optional(Type.String({ maxLength: 1_024 })),
}

type ListParameters = { readonly page: number; readonly page_size: number; readonly q?: string; readonly sort?: string }

/** One term of `q`, before anybody knows whether there is a column for it. */
export type Term = { readonly name: string } & (
  | { readonly match: 'equal' | 'part'; readonly value: string }
  | { readonly match: 'between'; readonly from: string; readonly to: string }
  | { readonly match: 'any' | 'all'; readonly values: readonly string[] }
)

/**
 * What `q` and `sort` ask of a list that has these columns. As with Harbor, a name's case and underscores do not count (`ProjectID` is
 * `project_id`), and names that the list does not know are passed over.
 */
export function listAsked(columns: ListColumns, { page, page_size: pageSize, q = '', sort = '' }: ListParameters): ListAsked | ApiError {
  const terms = parseTerms(q)
  if ('refused' in terms) return terms
  const known = new Map(Object.entries(columns).map(([name, column]) => [plain(name), column]))
  const filters: ListFilter[] = []
  for (const term of terms) {
    const by = known.get(plain(term.name))
    if (by === undefined) continue
    const filter = filterOf(by, term)
    if ('refused' in filter) return filter
    filters.push(filter)
  }
  return { filters, order: orderOf(known, sort), page, pageSize }
}

/** A page as it is answered, with the headers that say how many there are and where the pages beside it are. */
export function pageAnswer<R>({ url }: Pick<Asked, 'url'>, { page, pageSize }: Pick<ListAsked, 'page' | 'pageSize'>, { items, total }: Page<R>, shown: (item: R) => unknown): Answer {
  const link = (to: number, relation: 'prev' | 'next'): string => pageLink(url, { page: String(to), page_size: String(pageSize) }, relation)
  const links = [
    ...(page > 1 && (page - 1) * pageSize < total ? [link(page - 1, 'prev')] : []),
    ...(page * pageSize < total ? [link(page + 1, 'next')] : []),
  ]
  const headers = { 'X-Total-Count': String(total), ...(links.length === 0 ? {} : { Link: links.join(' , ') }) }
  return { status: 200, body: items.map(shown), headers }
}

/** `k=v`, `k=~v`, `k=[min~max]`, `k={a b}`, `k=(a b)`, with commas between them. */
export function parseTerms(text: string): readonly Term[] | ApiError {
  if (text === '') return []
  const terms: Term[] = []
  for (const part of decodedAgain(text).split(',')) {
    const equals = part.indexOf('=')
    // Postgres has no U+0000 in a text.
    const term = equals < 1 || part.includes('\u0000') ? undefined : termOf(part.slice(0, equals), part.slice(equals + 1))
    if (term === undefined) return apiError(400, 'BAD_REQUEST', `q is not understood at ${JSON.stringify(part)}`)
    terms.push(term)
  }
  return terms
}

/** What `q` says that something is to be: the value of its `name=value`. */
export function valueAsked(terms: readonly Term[], name: string): string | undefined {
  const found = terms.find((term) => plain(term.name) === plain(name))
  return found?.match === 'equal' ? found.value : undefined
}

/** Some clients encode it twice, and no term is without its sign of equality. */
function decodedAgain(text: string): string {
  if (text.includes('=')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function termOf(name: string, value: string): Term | undefined {
  const inner = value.slice(1, -1)
  switch (value[0]) {
    case undefined:
      return undefined
    case '~':
      return value.length === 1 ? undefined : { name, match: 'part', value: value.slice(1) }
    case '[': {
      const [from, to, more] = inner.split('~').map((end) => unquoted(end.trim()))
      if (!value.endsWith(']') || from === undefined || to === undefined || more !== undefined || from + to === '') return undefined
      return { name, match: 'between', from, to }
    }
    case '{':
      return value.endsWith('}') ? { name, match: 'any', values: listed(inner) } : undefined
    case '(':
      return value.endsWith(')') ? { name, match: 'all', values: listed(inner) } : undefined
    case '\\':
      return { name, match: 'equal', value: value.slice(1) }
    default:
      return { name, match: 'equal', value }
  }
}

function listed(inner: string): string[] {
  return inner.split(' ').map(unquoted).filter((value) => value !== '')
}

function unquoted(value: string): string {
  return value.replace(/^["']+|(?<!["'])["']+$/g, '')
}

function filterOf(by: ListColumn, term: Term): ListFilter | ApiError {
  const bad = apiError(400, 'BAD_REQUEST', `q wants for ${term.name} ${WANTED[by.type]}`)
  switch (term.match) {
    case 'part':
      return { by, match: 'part', value: term.value }
    case 'equal': {
      const value = valueOf(by, term.value)
      return value === undefined ? bad : { by, match: 'equal', value }
    }
    case 'between': {
      const [from, to] = [term.from, term.to].map((end) => (end === '' ? undefined : valueOf(by, end)))
      return (from === undefined && term.from !== '') || (to === undefined && term.to !== '') ? bad : { by, match: 'between', from, to }
    }
    case 'any':
    case 'all': {
      const values = term.values.map((value) => valueOf(by, value)).filter((value) => value !== undefined)
      if (values.length < term.values.length) return bad
      // A column has one value, so it has all of several only where they are one.
      return { by, match: 'any', values: term.match === 'all' && new Set(values).size > 1 ? [] : values }
    }
  }
}

const WANTED: Readonly<Record<ListColumn['type'], string>> = { text: 'a text', number: 'a number', time: 'a time', boolean: 'true or false' }

function valueOf({ type }: ListColumn, text: string): ListValue | undefined {
  switch (type) {
    case 'text':
      return text
    case 'number':
      return /^-?[0-9]{1,15}$/.test(text) ? Number(text) : undefined
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined
    case 'time': {
      // Without a zone it is UTC, as Harbor has it.
      const match = /^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?))?(Z|[+-][0-9]{2}:[0-9]{2})?$/.exec(text)
      const time = match === null ? Number.NaN : Date.parse(`${match[1] ?? ''}T${match[2] ?? '00:00:00'}${match[3] ?? 'Z'}`)
      return Number.isNaN(time) ? undefined : new Date(time).toISOString()
    }
  }
}

function orderOf(known: ReadonlyMap<string, ListColumn>, sort: string): ListOrder[] {
  return sort.split(',').flatMap((text) => {
    const descending = text.startsWith('-')
    const by = known.get(plain(descending ? text.slice(1) : text))
    return by === undefined ? [] : [{ by, descending }]
  })
}

function plain(name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}
