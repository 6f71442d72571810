import type { ClientBase } from 'pg'
import type { Change, Row, Table, Value } from './projection.ts'

type Put = { readonly table: Table; readonly rows: Map<string, Record<string, Value>> }
type SetGroup = { readonly table: Table; readonly shape: string; readonly sets: { where: Row; columns: Row }[]; readonly wheres: Set<string> }
type Sum = { readonly key: Row; count: Record<string, number>; latest: Record<string, string> }

/**
 * Gathers the changes of many events and writes them in few statements, with the same rows as one by one, in order.
 *
 * A put stays in memory until the end, and a set changes the puts that it matches there; towards the database, which holds only
 * what was before, it is a statement. So all sets can run first and all puts after, each table's as one statement. Neighbouring
 * sets of one shape run together as long as no two have the same `where`: then no two of them can match the same row.
 */
export function createBatch() {
  const puts = new Map<string, Put>()
  const sets: SetGroup[] = []
  const sums = new Map<string, { table: Table; sums: Map<string, Sum> }>()
  /** The texts of numbered columns in the order of the changes, whatever statements they end up in: numbers follow it. */
  const texts = new Map<string, Set<string>>()

  function keyOf(table: Table, row: Row): string {
    return JSON.stringify(table.key.map((column) => String(row[column])))
  }

  function collectTexts(table: Table, row: Row): void {
    for (const [column, type] of Object.entries(table.columns)) {
      const text = row[column]
      if (typeof type === 'string' || typeof text !== 'string') continue
      const collected = texts.get(type.numbered) ?? new Set()
      texts.set(type.numbered, collected.add(text))
    }
  }

  function add(change: Change): void {
    switch (change.kind) {
      case 'put': {
        const { table, row } = change
        collectTexts(table, row)
        const target = puts.get(table.name) ?? { table, rows: new Map<string, Record<string, Value>>() }
        puts.set(table.name, target)
        const key = keyOf(table, row)
        const earlier = target.rows.get(key)
        const kept = Object.fromEntries((table.keep ?? []).flatMap((column) => (earlier?.[column] === undefined ? [] : [[column, earlier[column]]])))
        target.rows.set(key, { ...row, ...kept })
        return
      }
      case 'set': {
        const { table, where, columns } = change
        const conditions = Object.entries(where)
        for (const row of puts.get(table.name)?.rows.values() ?? []) {
          if (conditions.every(([column, value]) => row[column] === value)) Object.assign(row, columns)
        }
        const shape = JSON.stringify([Object.entries(where).map(([column, value]) => [column, value === null]), Object.keys(columns)])
        const values = JSON.stringify(Object.values(where).map(String))
        const last = sets.at(-1)
        if (last?.table === table && last.shape === shape && !last.wheres.has(values)) {
          last.sets.push({ where, columns })
          last.wheres.add(values)
        } else sets.push({ table, shape, sets: [{ where, columns }], wheres: new Set([values]) })
        return
      }
      case 'add': {
        const { table, key, count, latest } = change
        collectTexts(table, key)
        const target = sums.get(table.name) ?? { table, sums: new Map<string, Sum>() }
        sums.set(table.name, target)
        const sum = target.sums.get(keyOf(table, key)) ?? { key, count: {}, latest: {} }
        target.sums.set(keyOf(table, key), sum)
        for (const [column, by] of Object.entries(count)) sum.count[column] = (sum.count[column] ?? 0) + by
        for (const [column, value] of Object.entries(latest)) if (value > (sum.latest[column] ?? '')) sum.latest[column] = value
        return
      }
    }
  }

  return {
    add,
    /** Writes everything in the client's open transaction. */
    async write(client: ClientBase, schema: string, dictionaries: Dictionaries): Promise<void> {
      const numbers = await dictionaries.numbersOf(client, schema, texts)
      for (const group of sets) await writeSets(client, schema, group)
      for (const { table, rows } of puts.values()) await writePuts(client, schema, table, [...rows.values()], numbers)
      for (const { table, sums: all } of sums.values()) await writeSums(client, schema, table, [...all.values()], numbers)
    },
  }
}

const typeOf = (table: Table, column: string): string => {
  const type = table.columns[column]
  if (type === undefined) throw new Error(`${table.name} has no column ${column}`)
  return typeof type === 'string' ? type : 'integer'
}

const arrays = (table: Table, columns: readonly string[], first = 1): string =>
  columns.map((column, index) => `$${index + first}::${typeOf(table, column)}[]`).join(', ')

async function writeSets(client: ClientBase, schema: string, { table, sets }: SetGroup): Promise<void> {
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
    [...matched.map((column) => sets.map((each) => each.where[column])), ...changed.map((column) => sets.map((each) => each.columns[column]))],
  )
}

/** A column's values, texts of numbered columns as their numbers. */
function valuesOf(table: Table, column: string, rows: readonly Row[], numbers: Numbers): Value[] {
  const type = table.columns[column]
  const dictionary = typeof type === 'object' ? numbers.get(type.numbered) : undefined
  return rows.map((row) => {
    const value = row[column] ?? null
    return dictionary !== undefined && typeof value === 'string' ? (dictionary.get(value) ?? null) : value
  })
}

async function writePuts(client: ClientBase, schema: string, table: Table, rows: readonly Row[], numbers: Numbers): Promise<void> {
  const columns = Object.keys(table.columns)
  const changeable = columns.filter((column) => !table.key.includes(column) && !(table.keep ?? []).includes(column))
  const onConflict = changeable.length === 0 ? 'nothing' : `update set ${changeable.map((column) => `${column} = excluded.${column}`).join(', ')}`
  await client.query(
    `insert into ${schema}.${table.name} (${columns.join(', ')}) select * from unnest(${arrays(table, columns)})
     on conflict (${table.key.join(', ')}) do ${onConflict}`,
    columns.map((column) => valuesOf(table, column, rows, numbers)),
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
      ...table.key.map((column) => valuesOf(table, column, keys, numbers)),
      ...counts.map((column) => sums.map((sum) => sum.count[column] ?? 0)),
      ...latest.map((column) => sums.map((sum) => sum.latest[column] ?? null)),
    ],
  )
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
    const memory = remembered.get(dictionary) ?? new Map<string, number>()
    if (memory.size > MAX_REMEMBERED) memory.clear()
    remembered.set(dictionary, memory)
    const unknown = [...texts].filter((text) => !memory.has(text))
    if (unknown.length === 0) return memory
    const found = await client.query<{ n: number; value: string }>(`select n, value from ${schema}.${dictionary} where value = any($1)`, [unknown])
    for (const { n, value } of found.rows) memory.set(value, n)
    const fresh = unknown.filter((text) => !memory.has(text))
    if (fresh.length === 0) return memory
    const made = await client.query<{ n: number; value: string }>(
      `insert into ${schema}.${dictionary} (n, value)
       select coalesce((select max(n) from ${schema}.${dictionary}), 0) + ordinal, value from unnest($1::text[]) with ordinality as u (value, ordinal)
       returning n, value`,
      [fresh],
    )
    for (const { n, value } of made.rows) memory.set(value, n)
    return memory
  }

  return {
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
