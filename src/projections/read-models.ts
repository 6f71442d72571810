import { createHash } from 'node:crypto'
import pg from 'pg'
import type { ClientBase, Pool } from 'pg'
import { accessHistory } from './access-history.ts'
import { audit } from './audit.ts'
import { catalogue } from './catalogue.ts'
import { identity } from './identity.ts'
import { dictionariesOf } from './projection.ts'
import type { ProjectionGroup, Table } from './projection.ts'
import { pulls } from './pulls.ts'

/** The catalogue follows state alone, so that a storm of pulls never delays a push; what looks back follows both lanes. */
export const catalogueGroup: ProjectionGroup = { name: 'catalogue', lanes: ['state'], synced: true, projections: [catalogue, identity, accessHistory] }
export const trailGroup: ProjectionGroup = { name: 'trail', lanes: ['state', 'activity'], synced: false, projections: [audit, pulls] }
export const groups: readonly ProjectionGroup[] = [catalogueGroup, trailGroup]

export const tablesOf = (group: ProjectionGroup): Table[] => group.projections.flatMap((projection) => [...projection.tables])

/** Each version of the read models is a schema of its own; which one is live is a number in one row. */
export const schemaName = (version: number): string => `rm_${version}`

/** The versions that there are, the live one among them. */
export async function versions(pool: Pool): Promise<number[]> {
  const { rows } = await pool.query<{ name: string }>("select nspname as name from pg_namespace where nspname ~ '^rm_[0-9]+$'")
  return rows.map(({ name }) => Number(name.slice('rm_'.length)))
}

export async function prepareRegister(pool: Pool): Promise<void> {
  await pool.query(`
    create schema if not exists varve;
    create table if not exists varve.read_models (singleton boolean primary key default true check (singleton), live integer not null, newest integer not null);`)
}

/** The live version, or undefined before the first start has made one. */
export async function liveVersion(client: Pool | ClientBase): Promise<number | undefined> {
  const { rows } = await client.query<{ live: number }>('select live from varve.read_models')
  return rows[0]?.live
}

/** Counted up where the same tables are to hold something else. */
const FOLDED = 2

/** Stands for the tables of this release and for what it folds into them: each version carries the one that it was made with. */
const definition = createHash('sha256')
  .update([FOLDED, ...groups.map((group) => groupSql('rm', group)), ...indexesSql('rm')].join('\n'))
  .digest('hex')

/** Whether a version was made with other tables than those of this release, which this one can neither fold nor read. */
export async function isOutdated(pool: Pool, version: number): Promise<boolean> {
  const { rows } = await pool.query<{ definition: string | null }>(
    "select obj_description(oid, 'pg_namespace') as definition from pg_namespace where nspname = $1",
    [schemaName(version)],
  )
  return rows[0]?.definition !== definition
}

/** Makes the schema of a new version and returns its number; the first is live at once, and so has its indexes. */
export async function createVersion(pool: Pool): Promise<number> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('begin')
    const { rows } = await client.query<{ newest: number; live: number }>(
      `insert into varve.read_models as r (live, newest) values (1, 1) on conflict (singleton) do update set newest = r.newest + 1 returning newest, live`,
    )
    const [{ newest, live } = { newest: 1, live: 1 }] = rows
    await client.query(groups.map((group) => groupSql(schemaName(newest), group)).join('\n'))
    await client.query(`comment on schema ${schemaName(newest)} is '${definition}'`)
    if (newest === live) await client.query(indexesSql(schemaName(newest)).join('\n'))
    await client.query('commit')
    return newest
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error))
    throw error
  } finally {
    client.release(broken)
  }
}

/** Indexes are made after the load: a row then costs no index insertion of its own. */
export async function createIndexes(pool: Pool, version: number): Promise<void> {
  for (const statement of indexesSql(schemaName(version))) await pool.query(statement)
}

function indexesSql(schema: string): string[] {
  return groups.flatMap(tablesOf).flatMap((table) => [
    ...(table.once === true ? [indexSql(schema, table, 'key', `unique (${table.key.join(', ')})`)] : []),
    ...(table.indexes ?? []).map((definition, index) => indexSql(schema, table, String(index + 1), definition)),
  ])
}

function indexSql(schema: string, table: Table, name: string, definition: string): string {
  const unique = definition.startsWith('unique ') ? 'unique ' : ''
  return `create ${unique}index if not exists ${table.name}_${name} on ${schema}.${table.name} ${definition.replace(/^unique /, '')};`
}

/** Makes a version the live one, if the live one is still the one that the caller saw. */
export async function switchTo(pool: Pool, version: number, from: number): Promise<boolean> {
  const { rowCount } = await pool.query('update varve.read_models set live = $1 where live = $2', [version, from])
  return rowCount === 1
}

export async function dropVersion(pool: Pool, version: number): Promise<void> {
  await pool.query(`drop schema if exists ${schemaName(version)} cascade`)
}

/** Whether a query failed because its version is gone: another one went live, and this one was dropped. */
export function isVersionGone(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '42P01' || error.code === '3F000')
}

function groupSql(schema: string, group: ProjectionGroup): string {
  return [
    `create schema if not exists ${schema};`,
    `create table if not exists ${schema}.checkpoints (name text primary key, position text, ordinal bigint not null, as_of text not null);`,
    ...dictionariesOf(group).map(
      (name) => `create table ${schema}.${name} (n integer primary key, value text collate "C" not null);
                 create index ${name}_value on ${schema}.${name} using hash (value);`,
    ),
    ...tablesOf(group).map((table) => tableSql(schema, table)),
  ].join('\n')
}

function tableSql(schema: string, table: Table): string {
  const columns = Object.entries(table.columns).map(([name, type]) => `${name} ${type === 'text' ? 'text collate "C"' : typeof type === 'string' ? type : 'integer'}`)
  const key = table.once === true ? [] : [`primary key (${table.key.join(', ')})`]
  return [
    `create table ${schema}.${table.name} (${[...columns, ...key].join(', ')});`,
    ...(table.lookups ?? []).map((definition, index) => indexSql(schema, table, `lookup_${index + 1}`, definition)),
  ].join('\n')
}
