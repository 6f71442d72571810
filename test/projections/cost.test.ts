import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Pool } from 'pg'
import { ManifestPushed, RepositoryCreated, TagAssigned } from '../../src/commands/repository/events.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { OCI_IMAGE_MANIFEST } from '../../src/oci/media-types.ts'
import { parseTag } from '../../src/oci/names.ts'
import type { Tag } from '../../src/oci/names.ts'
import type { Fact, Recorded } from '../../src/ports/event.ts'
import { position } from '../../src/ports/position.ts'
import type { Position } from '../../src/ports/position.ts'
import { repositoryKey, streams } from '../../src/ports/streams.ts'
import { catalogueQueries } from '../../src/projections/catalogue-queries.ts'
import { catalogueGroup, createVersion, prepareRegister, schemaName } from '../../src/projections/read-models.ts'
import { openFolder } from '../../src/projections/runner.ts'
import { createRows } from '../../src/projections/versioned-queries.ts'
import { createPool } from '../../src/storage/postgres/pool.ts'
import { eventOf } from '../storage/events/contract.ts'
import { testDatabase } from '../support/postgres.ts'

const TAGS = 100_000
const PAGE = 1_000
const large = repositoryKey('11111111-1111-4111-8111-111111111111', 'large')
const small = repositoryKey('11111111-1111-4111-8111-111111111111', 'small')
const digest = digestOf('sha256', Buffer.from('manifest'))
const pushed = ManifestPushed({ digest, mediaType: OCI_IMAGE_MANIFEST, size: 8, references: [digest] })

function tagOf(number: number): Tag {
  const tag = parseTag(`t${String(number).padStart(6, '0')}`)
  if (tag === undefined) throw new Error('no tag')
  return tag
}

describe(`a repository of ${TAGS} tags`, () => {
  let database: Awaited<ReturnType<typeof testDatabase>>
  let pool: Pool
  let queries: ReturnType<typeof catalogueQueries>
  let folder: Awaited<ReturnType<typeof openFolder>>
  let last = 0

  beforeAll(async () => {
    database = await testDatabase()
    // One connection, so that what it has read can be asked for.
    pool = createPool({ ...database.connection, max: 1, pipeline: true })
    await prepareRegister(pool)
    const version = await createVersion(pool)
    queries = catalogueQueries(createRows(pool, () => schemaName(version)))
    folder = await openFolder(pool, schemaName(version), catalogueGroup, { manifest: () => Promise.resolve(undefined), openPrivate: () => Promise.resolve(undefined) })
    for (const repository of [large, small]) await fold(streams.repository(repository), 0, [RepositoryCreated({}), pushed])
    for (let from = 0; from < TAGS; from += 10_000) {
      await fold(streams.repository(large), 2 + from, Array.from({ length: 10_000 }, (_, index) => TagAssigned({ tag: tagOf(from + index), digest })))
    }
    await pool.query('vacuum analyze')
  }, 180_000)

  afterAll(async () => {
    await pool.end()
    await database.drop()
  })

  async function fold(stream: string, revision: number, facts: readonly Fact[]): Promise<void> {
    const recorded = facts.map((fact, index): Recorded => ({ event: eventOf(fact), stream, revision: revision + index, position: nextPosition(), hash: '' }))
    await folder.commit(recorded, position('cost0000', last))
  }

  function nextPosition(): Position {
    last += 1
    return position('cost0000', last)
  }

  /** How many rows of the read models, or their entries in an index, are read by what is done. */
  async function rowsRead(work: () => Promise<unknown>): Promise<number> {
    const read = async (): Promise<number> => {
      await pool.query('select pg_stat_force_next_flush()')
      const { rows } = await pool.query<{ n: string }>(
        'select (select sum(idx_tup_read) from pg_stat_user_indexes) + (select sum(seq_tup_read) from pg_stat_user_tables) as n',
      )
      return Number(rows[0]?.n)
    }
    const before = await read()
    await work()
    return (await read()) - before
  }

  it('is pushed to by as many rows read as one that is empty', async () => {
    const push = (repository: typeof large, tag: Tag, revision: number) => async (): Promise<void> => {
      await queries.repository(repository, { tags: [tag], manifests: [digest], blobs: [digest] })
      await fold(streams.repository(repository), revision, [pushed, TagAssigned({ tag, digest })])
    }
    const tag = tagOf(TAGS)
    const [toLarge, toSmall] = [await rowsRead(push(large, tag, TAGS + 2)), await rowsRead(push(small, tag, 2))]
    expect(toLarge).toBe(toSmall)
    expect(toLarge).toBeGreaterThan(0)
    expect(toLarge).toBeLessThan(20)
  })

  it('gives every page of its tags for as many rows read as it has tags', async () => {
    const cost = new Set<number>()
    for (const from of [0, TAGS / 2, TAGS - PAGE - 1]) {
      const page = { tags: [] as Tag[] }
      cost.add(
        await rowsRead(async () => {
          page.tags = await queries.tagNames(large, from === 0 ? '' : tagOf(from - 1), PAGE)
        }),
      )
      expect(page.tags).toEqual(Array.from({ length: PAGE }, (_, index) => tagOf(from + index)))
    }
    expect([...cost]).toEqual([PAGE])
  })
})
