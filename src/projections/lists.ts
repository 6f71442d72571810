import { folded } from '../ports/same-name.ts'
import type { Rows } from './versioned-queries.ts'

/** A column that a list can be filtered and ordered by. */
export type ListColumn = {
  /** What it is called in the list's `select`. */
  readonly column: string
  readonly type: 'text' | 'number' | 'time' | 'boolean'
  /** The column that holds the same text as names are compared, where there is one: what is searched for part of a text. */
  readonly folded?: string
}

/** By the names that callers know them under. */
export type ListColumns = Readonly<Record<string, ListColumn>>

export type ListValue = string | number | boolean

export type ListFilter = { readonly by: ListColumn } & (
  | { readonly match: 'equal'; readonly value: ListValue }
  | { readonly match: 'part'; readonly value: string }
  /** Both ends belong to it. */
  | { readonly match: 'between'; readonly from: ListValue | undefined; readonly to: ListValue | undefined }
  | { readonly match: 'any'; readonly values: readonly ListValue[] }
)

export type ListOrder = { readonly by: ListColumn; readonly descending: boolean }

/** Which page of what is asked for. Pages count from 1. */
export type ListAsked = {
  readonly filters: readonly ListFilter[]
  readonly order: readonly ListOrder[]
  readonly page: number
  readonly pageSize: number
}

/** A list as a statement: `values` are the parameters of `select`, whose columns filters and orders name. `key` tells its rows apart. */
export type List = {
  readonly select: (schema: string) => string
  readonly values: readonly unknown[]
  readonly key: string
  /** Where nothing is said of an order. */
  readonly order?: readonly ListOrder[]
}

/** `total`: of all pages. */
export type Page<R> = { readonly items: readonly R[]; readonly total: number }

const SQL_TYPES: Readonly<Record<ListColumn['type'], string>> = { text: 'text', number: 'bigint', time: 'timestamptz', boolean: 'boolean' }

/** One page of a list and how many there are in all, by one statement. It counts what it lists: for lists that are short by nature. */
export async function listPage<R extends object>(rows: Rows, { select, values, key, order = [] }: List, asked: ListAsked): Promise<Page<R>> {
  const parameters = [...values]
  const parameter = (value: unknown, type: string): string => `$${parameters.push(value)}::${type}`
  const where = asked.filters.map((filter) => `(${condition(filter, parameter)})`).join(' and ')
  const orders = [...(asked.order.length === 0 ? order : asked.order).map(({ by, descending }) => `${by.column} ${descending ? 'desc' : 'asc'}`), key].join(', ')
  const [limit, offset] = [parameter(asked.pageSize, 'bigint'), parameter((asked.page - 1) * asked.pageSize, 'bigint')]
  const filtered = (schema: string): string => `from (${select(schema)}) listed ${where === '' ? '' : `where ${where}`}`
  const text = (schema: string): string =>
    `select counted.total, page.* from (select count(*)::int as total ${filtered(schema)}) counted
     left join lateral (select *, row_number() over (order by ${orders}) as place from (select * ${filtered(schema)}
       order by ${orders} limit ${limit} offset ${offset}) those) page on true
     order by page.place`
  // Without a name, so that it is not prepared: its text is the caller's choice.
  const found = await rows<R & { total: number; place: string | null }>(undefined, text, parameters)
  return { items: found.filter(({ place }) => place !== null), total: found[0]?.total ?? 0 }
}

function condition(filter: ListFilter, parameter: (value: unknown, type: string) => string): string {
  const { column, folded: foldedColumn } = filter.by
  const type = SQL_TYPES[filter.by.type]
  switch (filter.match) {
    case 'equal':
      return `${column} = ${parameter(filter.value, type)}`
    case 'part':
      return `position(${parameter(folded(filter.value), 'text')} in ${foldedColumn ?? `lower(${column}::text)`}) > 0`
    case 'any':
      return `${column} = any(${parameter(filter.values, `${type}[]`)})`
    case 'between':
      return [
        ...(filter.from === undefined ? [] : [`${column} >= ${parameter(filter.from, type)}`]),
        ...(filter.to === undefined ? [] : [`${column} <= ${parameter(filter.to, type)}`]),
      ].join(' and ')
  }
}
