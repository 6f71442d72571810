import type { ClientBase } from 'pg'
import type { Change, Row, Table, Value } from './projection.ts'

type ChangeOf<K extends Change['kind']> = Extract<Change, { readonly kind: K }>
type Mutable = Record<string, Value>
type Puts = {
  readonly table: Table
  readonly rows: Map<string, Mutable>
  readonly lookups: Map<string, Lookup>
  readonly numbered: Numbered
  /** Where a row stays as it was first written: those that were put, for whom it costs nothing to come again. */
  readonly seen: Set<Row> | undefined
}
type Lookup = { readonly columns: readonly string[]; readonly rows: Map<string, Mutable[]> }
/** The rows of a table whose keys are put once, by column: nothing finds them again. */
type Lines = { readonly table: Table; readonly columns: readonly { readonly name: string; readonly dictionary: string | undefined; readonly values: Value[] }[] }
type SetGroup = { readonly shape: string; readonly sets: Map<string, ChangeOf<'set'>> }
type Sets = { readonly table: Table; readonly groups: SetGroup[]; readonly lastOf: Map<string, number> }
type Sum = { readonly key: Row; readonly count: Record<string, number>; readonly latest: Record<string, string> }
type Sums = { readonly table: Table; readonly sums: Map<string, Sum>; readonly numbered: Numbered }
/** The columns of a table whose texts a dictionary numbers, and which. */
type Numbered = readonly (readonly [column: string, dictionary: string])[]

export type Batch = ReturnType<typeof createBatch>

/**
 * Gathers the changes of many events and writes them in few statements, with the same rows as one by one, in order.
 *
 * A put stays in memory until the end, and a set changes the puts that it matches there; towards the database, which holds only
 * what was before, it is a statement. So all sets can run first and all puts after, each table's as one statement.
 *
 * Sets of one table run in groups, a statement each. Sets of one shape that fix different values cannot match the same row, nor can
 * those that name different values of the key's first column: so a set goes into the first group of its shape that does not stand
 * before a set that it could meet.
 */
export function createBatch(dictionaries: Dictionaries) {
  const puts = new Map<Table, Puts>()
  const lines = new Map<Table, Lines>()
  const sets = new Map<Table, Sets>()
  const sums = new Map<Table, Sums>()
  /** The texts of numbered columns in the order of the changes, whatever statements they end up in: numbers follow it. */
  const texts = new Map<string, Set<string>>()
  let size = 0

  function collectTexts(numbered: Numbered, row: Row): void {
    for (const [column, dictionary] of numbered) {
      const text = row[column]
      if (typeof text === 'string') collect(dictionary, text)
    }
  }

  function collect(dictionary: string, text: string): void {
    const collected = texts.get(dictionary)
    if (collected === undefined) texts.set(dictionary, new Set([text]))
    else collected.add(text)
  }

  function addLine({ table, row }: ChangeOf<'put'>): void {
    const { columns } = upsert(lines, table, (): Lines => {
      const names = Object.keys(table.columns)
      return { table, columns: names.map((name) => ({ name, dictionary: dictionaryOf(table, name), values: [] })) }
    })
    for (const { name, dictionary, values } of columns) {
      const value = row[name] ?? null
      const number = dictionary === undefined || typeof value !== 'string' ? undefined : dictionaries.known(dictionary, value)
      if (dictionary !== undefined && typeof value === 'string' && number === undefined) collect(dictionary, value)
      values.push(number ?? value)
    }
  }

  function addPut({ table, row }: ChangeOf<'put'>): void {
    const { rows, lookups, numbered, seen } = upsert(puts, table, (): Puts => {
      const stays = changeableOf(table).length === 0
      return { table, rows: new Map(), lookups: new Map(), numbered: numberedOf(table), seen: stays ? new Set() : undefined }
    })
    collectTexts(numbered, row)
    seen?.add(row)
    const key = keyOf(table.key, row)
    const earlier = rows.get(key)
    const fresh: Mutable = { ...row }
    for (const column of table.keep ?? []) if (earlier?.[column] !== undefined) fresh[column] = earlier[column]
    rows.set(key, fresh)
    for (const lookup of lookups.values()) addTo(lookup, fresh)
  }

  /** The rows in memory whose `columns` are those of `where`. A lookup is made when it is first asked for, and kept up by the puts after. */
  function lookUp({ table, rows, lookups }: Puts, columns: readonly string[], where: Row): Mutable[] {
    const lookup = upsert(lookups, columns.join(), () => {
      const made: Lookup = { columns, rows: new Map() }
      for (const row of rows.values()) addTo(made, row)
      return made
    })
    // One that a later put has replaced still stands in the lookup.
    return (lookup.rows.get(keyOf(columns, where)) ?? []).filter((row) => rows.get(keyOf(table.key, row)) === row)
  }

  function addSet(change: ChangeOf<'set'>): void {
    const { table, where, columns } = change
    const fixed = Object.keys(where).filter((column) => !(column in columns))
    const inMemory = puts.get(table)
    if (inMemory !== undefined) {
      for (const row of lookUp(inMemory, fixed, where)) if (Object.entries(where).every(([column, value]) => row[column] === value)) Object.assign(row, columns)
      // A lookup by a column that changes would no longer hold.
      for (const [name, lookup] of inMemory.lookups) if (lookup.columns.some((column) => column in columns)) inMemory.lookups.delete(name)
    }
    const { groups, lastOf } = upsert(sets, table, () => ({ table, groups: [] as SetGroup[], lastOf: new Map<string, number>() }))
    const [first = ''] = table.key
    if (where[first] === undefined) throw new Error(`a set of ${table.name} names no ${first}`)
    const scope = String(where[first])
    const shape = shapeOf(change)
    const values = keyOf(fixed, where)
    for (let at = lastOf.get(scope) ?? 0; ; at += 1) {
      const group = groups[at] ?? { shape, sets: new Map<string, ChangeOf<'set'>>() }
      groups[at] = group
      if (group.shape !== shape) continue
      const earlier = group.sets.get(values)
      if (earlier !== undefined && !leavesNothingFor(earlier, change)) continue
      if (earlier === undefined) group.sets.set(values, change)
      lastOf.set(scope, at)
      return
    }
  }

  function addSum({ table, key, count, latest }: ChangeOf<'add'>): void {
    const { sums: all, numbered } = upsert(sums, table, (): Sums => ({ table, sums: new Map(), numbered: numberedOf(table) }))
    const sum = upsert(all, keyOf(table.key, key), (): Sum => {
      collectTexts(numbered, key)
      return { key, count: {}, latest: {} }
    })
    for (const column in count) sum.count[column] = (sum.count[column] ?? 0) + (count[column] ?? 0)
    for (const column in latest) if ((latest[column] ?? '') > (sum.latest[column] ?? '')) sum.latest[column] = latest[column] ?? ''
  }

  return {
    add(change: Change): void {
      if (change.kind === 'put' && puts.get(change.table)?.seen?.has(change.row) === true) return
      size += 1
      if (change.kind === 'put' && change.table.once === true) addLine(change)
      else if (change.kind === 'put') addPut(change)
      else if (change.kind === 'set') addSet(change)
      else addSum(change)
    },
    /** How many changes it holds, about what it takes of memory. */
    size: () => size,
    /**
     * Writes everything in the client's open transaction. The statements run in order, and are sent without waiting for each other where
     * the client pipelines. `load`: into a version that nobody has written to before, and whose indexes are still to be made.
     */
    async write(client: ClientBase, schema: string, load: boolean): Promise<void> {
      const numbers = await dictionaries.numbersOf(client, schema, texts)
      const written: Promise<void>[] = []
      for (const { table, groups } of sets.values()) for (const group of groups) written.push(writeSets(client, schema, table, [...group.sets.values()]))
      for (const { table, columns } of lines.values()) {
        const values = columns.map(({ name, values }) => numberedText(table, name, values, numbers))
        written.push(insert(client, schema, table, values, load ? 'new' : 'put'))
      }
      for (const { table, rows } of puts.values()) {
        const all = [...rows.values()]
        const columns = Object.keys(table.columns).map((name) => numberedText(table, name, all.map((row) => row[name] ?? null), numbers))
        written.push(insert(client, schema, table, columns, 'put'))
      }
      for (const { table, sums: all } of sums.values()) written.push(writeSums(client, schema, table, [...all.values()], numbers))
      await Promise.all(written)
    },
  }
}

/** Texts hold no U+0000, so no two keys read the same. */
function keyOf(columns: readonly string[], row: Row): string {
  let key = ''
  for (const column of columns) key += `\0${String(row[column])}`
  return key
}

const shapeOf = ({ where, columns }: ChangeOf<'set'>): string =>
  JSON.stringify([Object.entries(where).map(([column, value]) => [column, value === null]), Object.keys(columns)])

/** Whether a set finds nothing to do after an earlier one of its shape and fixed values, with none between that could match the same rows. */
function leavesNothingFor(earlier: ChangeOf<'set'>, later: ChangeOf<'set'>): boolean {
  const wheres = Object.entries(later.where)
  if (!wheres.every(([column, value]) => earlier.where[column] === value)) return false
  return wheres.some(([column, value]) => column in earlier.columns && earlier.columns[column] !== value) || Object.entries(later.columns).every(([column, value]) => earlier.columns[column] === value)
}

function upsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}

function addTo({ columns, rows }: Lookup, row: Mutable): void {
  upsert(rows, keyOf(columns, row), (): Mutable[] => []).push(row)
}

/** The dictionary that numbers the texts of a column, if one does. */
function dictionaryOf(table: Table, column: string): string | undefined {
  const type = table.columns[column]
  return typeof type === 'object' ? type.numbered : undefined
}

const numberedOf = (table: Table): Numbered =>
  Object.keys(table.columns).flatMap((column) => {
    const dictionary = dictionaryOf(table, column)
    return dictionary === undefined ? [] : [[column, dictionary] as const]
  })

const typeOf = (table: Table, column: string): string => {
  const type = table.columns[column]
  if (type === undefined) throw new Error(`${table.name} has no column ${column}`)
  return typeof type === 'string' ? type : 'integer'
}

/** The columns that a later put of the same key writes again. */
const changeableOf = (table: Table): string[] =>
  Object.keys(table.columns).filter((column) => !table.key.includes(column) && !(table.keep ?? []).includes(column))

const arrays = (table: Table, columns: readonly string[]): string => columns.map((column, index) => `$${index + 1}::${typeOf(table, column)}[]`).join(', ')

async function writeSets(client: ClientBase, schema: string, table: Table, sets: readonly ChangeOf<'set'>[]): Promise<void> {
  const [example] = sets
  if (example === undefined) return
  const matched = Object.entries(example.where).flatMap(([column, value]) => (value === null ? [] : [column]))
  const empty = Object.entries(example.where).flatMap(([column, value]) => (value === null ? [column] : []))
  const changed = Object.keys(example.columns)
  const conditions = [...matched.map((column) => `t.${column} = u.w_${column}`), ...empty.map((column) => `t.${column} is null`)]
  await client.query(
    `update ${schema}.${table.name} t set ${changed.map((column) => `${column} = u.s_${column}`).join(', ')}
     from unnest(${arrays(table, [...matched, ...changed])}) as u (${[...matched.map((c) => `w_${c}`), ...changed.map((c) => `s_${c}`)].join(', ')})
     where ${conditions.join(' and ')}`,
    [...matched.map((column) => arrayText(sets.map((each) => each.where[column] ?? null))), ...changed.map((column) => arrayText(sets.map((each) => each.columns[column] ?? null)))],
  )
}

/** A column's values as an array, texts of numbered columns as their numbers. */
function numberedText(table: Table, column: string, values: readonly Value[], numbers: Numbers): string {
  const dictionary = numbers.get(dictionaryOf(table, column) ?? '')
  return arrayText(dictionary === undefined ? values : values.map((value) => (typeof value === 'string' ? (dictionary.get(value) ?? null) : value)))
}

async function insert(client: ClientBase, schema: string, table: Table, values: readonly string[], mode: 'new' | 'put'): Promise<void> {
  const columns = Object.keys(table.columns)
  const changeable = changeableOf(table)
  const onConflict = changeable.length === 0 ? 'nothing' : `update set ${changeable.map((column) => `${column} = excluded.${column}`).join(', ')}`
  await client.query(
    `insert into ${schema}.${table.name} (${columns.join(', ')}) select * from unnest(${arrays(table, columns)})
     ${mode === 'new' ? '' : `on conflict (${table.key.join(', ')}) do ${onConflict}`}`,
    [...values],
  )
}

async function writeSums(client: ClientBase, schema: string, table: Table, sums: readonly Sum[], numbers: Numbers): Promise<void> {
  const counts = [...new Set(sums.flatMap((sum) => Object.keys(sum.count)))]
  const latest = [...new Set(sums.flatMap((sum) => Object.keys(sum.latest)))]
  const columns = [...table.key, ...counts, ...latest]
  const keys = sums.map((sum) => sum.key)
  await client.query(
    `insert into ${schema}.${table.name} as t (${columns.join(', ')}) select * from unnest(${arrays(table, columns)})
     on conflict (${table.key.join(', ')}) do update set ${[
       ...counts.map((column) => `${column} = t.${column} + excluded.${column}`),
       ...latest.map((column) => `${column} = greatest(t.${column}, excluded.${column})`),
     ].join(', ')}`,
    [
      ...table.key.map((column) => numberedText(table, column, keys.map((key) => key[column] ?? null), numbers)),
      ...counts.map((column) => arrayText(sums.map((sum) => sum.count[column] ?? 0))),
      ...latest.map((column) => arrayText(sums.map((sum) => sum.latest[column] ?? null))),
    ],
  )
}

/** An array in Postgres's own spelling: for thousands of values that is much less work than `pg` makes of it. */
function arrayText(values: readonly Value[]): string {
  let text = ''
  for (const value of values) {
    if (value === null) text += ',NULL'
    else if (typeof value !== 'string') text += `,${String(value)}`
    else if (value.includes('"') || value.includes('\\')) text += `,"${value.replace(/["\\]/g, '\\$&')}"`
    else text += `,"${value}"`
  }
  return `{${text.slice(1)}}`
}

type Numbers = ReadonlyMap<string, ReadonlyMap<string, number>>

export type Dictionaries = ReturnType<typeof createDictionaries>

const MAX_REMEMBERED = 50_000

/**
 * Numbers texts in the order of their first appearance, so that a rebuild gives the same numbers. One writer moves a group's
 * rows (its checkpoint is compared and set), so the next number is the highest one + 1.
 */
export function createDictionaries() {
  const remembered = new Map<string, Map<string, number>>()

  async function numberAll(client: ClientBase, schema: string, dictionary: string, texts: ReadonlySet<string>): Promise<Map<string, number>> {
    const memory = upsert(remembered, dictionary, () => new Map<string, number>())
    if (memory.size > MAX_REMEMBERED) memory.clear()
    const unknown = [...texts].filter((text) => !memory.has(text))
    if (unknown.length === 0) return memory
    const found = await client.query<{ n: number; value: string }>(`select n, value from ${schema}.${dictionary} where value = any($1)`, [
      arrayText(unknown),
    ])
    for (const { n, value } of found.rows) memory.set(value, n)
    const fresh = unknown.filter((text) => !memory.has(text))
    if (fresh.length === 0) return memory
    const made = await client.query<{ n: number; value: string }>(
      `insert into ${schema}.${dictionary} (n, value)
       select coalesce((select max(n) from ${schema}.${dictionary}), 0) + ordinal, value from unnest($1::text[]) with ordinality as u (value, ordinal)
       returning n, value`,
      [arrayText(fresh)],
    )
    for (const { n, value } of made.rows) memory.set(value, n)
    return memory
  }

  return {
    /** A text's number, where it is remembered. */
    known: (dictionary: string, text: string): number | undefined => remembered.get(dictionary)?.get(text),
    /** The numbers of a batch's texts, by dictionary. What is new is numbered in the order in which it comes. */
    async numbersOf(client: ClientBase, schema: string, texts: ReadonlyMap<string, ReadonlySet<string>>): Promise<Numbers> {
      const numbers = new Map<string, Map<string, number>>()
      for (const [dictionary, each] of texts) numbers.set(dictionary, await numberAll(client, schema, dictionary, each))
      return numbers
    },
    /** What a transaction had numbered that was rolled back, or lost in a crash, is not so. */
    forget(): void {
      remembered.clear()
    },
  }
}
