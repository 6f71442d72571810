import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import pg from 'pg'
import { put, set } from '../../src/projections/projection.ts'
import type { Change, Row, Table } from '../../src/projections/projection.ts'
import { createBatch, createDictionaries } from '../../src/projections/writer.ts'
import { testDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { seeded } from '../support/random.ts'

/** As the catalogue's tags are: sets find rows by one of two columns, and only where a third is null. */
const tags: Table = {
  name: 'tags',
  columns: { repository: 'text', name: 'text', digest: 'text', from_pos: 'bigint', to_pos: 'bigint' },
  key: ['repository', 'name', 'from_pos'],
}
/** As its blobs are: sets go back and forth between two values. */
const blobs: Table = { name: 'blobs', columns: { repository: 'text', digest: 'text', linked: 'boolean' }, key: ['repository', 'digest'] }
const once: Table = { name: 'lines', columns: { pos: 'bigint', text: 'text', at: 'timestamptz' }, key: ['pos'], once: true }

describe('a batch', () => {
  let database: TestDatabase
  let client: pg.Client
  beforeAll(async () => {
    database = await testDatabase()
    client = new pg.Client({ ...database.connection, pipeline: true })
    await client.connect()
  })
  afterAll(async () => {
    await client.end()
    await database.drop()
  })

  async function emptySchema(name: string): Promise<string> {
    await client.query(`
      create schema ${name};
      create table ${name}.tags (repository text, name text, digest text, from_pos bigint, to_pos bigint, primary key (repository, name, from_pos));
      create table ${name}.blobs (repository text, digest text, linked boolean, primary key (repository, digest));
      create table ${name}.lines (pos bigint, text text, at timestamptz, primary key (pos));`)
    return name
  }

  /** Writes changes in batches, and answers how many statements that took. */
  async function write(schema: string, batches: readonly (readonly Change[])[], load = false): Promise<number> {
    const queries = jest.spyOn(client, 'query')
    const dictionaries = createDictionaries()
    for (const changes of batches) {
      const batch = createBatch(dictionaries)
      for (const change of changes) batch.add(change)
      await batch.write(client, schema, load)
    }
    const statements = queries.mock.calls.length
    queries.mockRestore()
    return statements
  }

  const rowsOf = async (schema: string, table: Table): Promise<Row[]> =>
    (await client.query<Row>(`select * from ${schema}.${table.name} order by ${table.key.join(', ')}`)).rows

  /** What happens to a few tags and blobs of a few repositories, so that nearly everything meets something. */
  function changesOf(seed: number, count: number): Change[] {
    const { below } = seeded(seed)
    return Array.from({ length: count }, (_, pos): Change[] => {
      const repository = `r${below(3)}`
      const name = `t${below(3)}`
      const digest = `d${below(4)}`
      switch (below(6)) {
        case 0:
          return [set(tags, { repository, name, to_pos: null }, { to_pos: pos }), put(tags, { repository, name, digest, from_pos: pos, to_pos: null })]
        case 1:
          return [set(tags, { repository, name, to_pos: null }, { to_pos: pos })]
        case 2:
          return [set(tags, { repository, digest, to_pos: null }, { to_pos: pos })]
        case 3:
          return [put(blobs, { repository, digest, linked: true })]
        case 4:
          return [set(blobs, { repository, digest }, { linked: false })]
        default:
          return [set(blobs, { repository, digest, linked: false }, { linked: true })]
      }
    }).flat()
  }

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('leaves the rows that its changes one by one leave (seed %d)', async (seed) => {
    const [alone, together] = [await emptySchema(`alone_${seed}`), await emptySchema(`together_${seed}`)]
    const changes = changesOf(seed, 400)
    const { below } = seeded(seed)
    const batches: Change[][] = [[]]
    for (const change of changes) {
      if (below(25) === 0) batches.push([])
      batches.at(-1)?.push(change)
    }
    await write(alone, changes.map((change) => [change]))
    await write(together, batches)
    for (const table of [tags, blobs]) {
      const expected = await rowsOf(alone, table)
      expect(expected.length).toBeGreaterThan(10)
      expect(await rowsOf(together, table)).toEqual(expected)
    }
  })

  it('takes as many statements for many repositories as for one', async () => {
    const schema = await emptySchema('statements')
    const pushes = (repositories: number): Change[] =>
      Array.from({ length: repositories }, (_, index): Change[] => {
        const repository = `r${index}`
        return [
          set(blobs, { repository, digest: 'base', linked: false }, { linked: true }),
          set(tags, { repository, name: 'latest', to_pos: null }, { to_pos: index }),
          put(tags, { repository, name: 'latest', digest: 'd', from_pos: index, to_pos: null }),
          set(blobs, { repository, digest: 'base', linked: false }, { linked: true }),
          set(tags, { repository, name: 'latest', to_pos: null }, { to_pos: index + 1 }),
          set(tags, { repository, digest: 'd', to_pos: null }, { to_pos: index + 2 }),
        ]
      }).flat()
    expect(await write(schema, [pushes(1)])).toBe(4)
    expect(await write(schema, [pushes(500)])).toBe(4)
  })

  it('writes any text, and nothing, as they are', async () => {
    const schema = await emptySchema('texts')
    const texts = ['', 'NULL', 'null', '"quoted" \\ {a,b}', "it's", ' spaces ', 'line\nand\ttab', '\u{1F433} 日本語', '\\u0000', '\\N']
    for (const load of [false, true]) {
      const changes = texts.map((text, pos) => put(once, { pos: pos + (load ? 100 : 0), text, at: '2026-01-01T00:00:00.123Z' }))
      await write(schema, [[...changes, put(once, { pos: load ? 199 : 99, text: null, at: null })]], load)
    }
    const rows = await rowsOf(schema, once)
    expect(rows.map((row) => row['text'])).toEqual([...texts, null, ...texts, null])
    expect(rows[0]?.['at']).toEqual(new Date('2026-01-01T00:00:00.123Z'))
  })
})
