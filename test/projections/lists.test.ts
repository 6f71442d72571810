import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Pool } from 'pg'
import { listPage } from '../../src/projections/lists.ts'
import type { List, ListAsked, ListColumns, ListFilter, ListOrder } from '../../src/projections/lists.ts'
import { createRows } from '../../src/projections/versioned-queries.ts'
import { testDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let pool: Pool

const columns = {
  number: { column: 'number', type: 'number' },
  name: { column: 'name', type: 'text', folded: 'folded' },
  plain: { column: 'name', type: 'text' },
  made: { column: 'made', type: 'time' },
  good: { column: 'good', type: 'boolean' },
} as const satisfies ListColumns

async function listed(filters: readonly ListFilter[], order: readonly ListOrder[] = [], page: Partial<ListAsked> = {}, list: Partial<List> = {}) {
  const things: List = { select: (schema) => `select * from ${schema}.things`, values: [], key: 'number', ...list }
  const { items, total } = await listPage<{ number: number }>(createRows(pool, () => 's'), things, { filters, order, page: 1, pageSize: 100, ...page })
  return { numbers: items.map(({ number }) => number), total }
}

describe('a list', () => {
  beforeAll(async () => {
    database = await testDatabase()
    pool = new Pool(database.connection)
    await pool.query(`create schema s; create table s.things (number integer, name text, folded text, made timestamptz, good boolean)`)
    await pool.query(`insert into s.things values
      (1, 'Ärger', 'ärger', '2026-01-01Z', true), (2, 'b%', 'b%', '2026-01-02Z', true), (3, 'B_', 'b_', '2026-01-03Z', false), (4, 'b%', 'b%', '2026-01-04Z', null)`)
  })

  afterAll(async () => {
    await pool.end()
    await database.drop()
  })

  it.each<[ListFilter, number[]]>([
    [{ by: columns.name, match: 'equal', value: 'b%' }, [2, 4]],
    [{ by: columns.name, match: 'equal', value: 'B%' }, []],
    [{ by: columns.name, match: 'part', value: 'ÄR' }, [1]],
    [{ by: columns.name, match: 'part', value: '%' }, [2, 4]],
    [{ by: columns.plain, match: 'part', value: 'B' }, [2, 3, 4]],
    [{ by: columns.number, match: 'equal', value: 2 }, [2]],
    [{ by: columns.number, match: 'between', from: 2, to: 3 }, [2, 3]],
    [{ by: columns.number, match: 'between', from: 3, to: undefined }, [3, 4]],
    [{ by: columns.made, match: 'between', from: undefined, to: '2026-01-02T00:00:00.000Z' }, [1, 2]],
    [{ by: columns.good, match: 'equal', value: false }, [3]],
    [{ by: columns.name, match: 'any', values: ['b%', `'; drop table things --`] }, [2, 4]],
    [{ by: columns.name, match: 'any', values: [] }, []],
  ])('is filtered by %j', async (filter, numbers) => {
    expect(await listed([filter])).toEqual({ numbers, total: numbers.length })
  })

  it('is filtered by all that is asked, beyond what it lists', async () => {
    const filters: ListFilter[] = [{ by: columns.name, match: 'equal', value: 'b%' }, { by: columns.good, match: 'equal', value: true }]
    expect(await listed(filters)).toEqual({ numbers: [2], total: 1 })
    expect(await listed(filters, [], {}, { select: (schema) => `select * from ${schema}.things where number > $1`, values: [2] })).toEqual({ numbers: [], total: 0 })
  })

  it('is ordered as asked, else in its own order, and by its key where that says nothing', async () => {
    const byName = { by: columns.name, descending: false }
    expect((await listed([], [byName])).numbers).toEqual([3, 2, 4, 1])
    expect((await listed([], [{ by: columns.name, descending: true }, { by: columns.made, descending: true }])).numbers).toEqual([1, 4, 2, 3])
    expect((await listed([], [], {}, { order: [byName] })).numbers).toEqual([3, 2, 4, 1])
    expect((await listed([])).numbers).toEqual([1, 2, 3, 4])
  })

  it('comes in pages that say how many there are in all, also beyond the last', async () => {
    expect(await listed([], [], { page: 2, pageSize: 3 })).toEqual({ numbers: [4], total: 4 })
    expect(await listed([], [], { page: 3, pageSize: 3 })).toEqual({ numbers: [], total: 4 })
  })
})
