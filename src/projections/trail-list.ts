import { positionNumber } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { happenedIn, happenedTo } from './audit-queries.ts'
import { listPage } from './lists.ts'
import type { ListAsked, ListColumns, Page } from './lists.ts'
import type { Rows } from './versioned-queries.ts'

/** An entry of the trail in the words of those who list it. */
export type ListedEntry = {
  readonly id: number
  /** Who did it, as they were called then; their id where they were forgotten, and what they are where they have no name. */
  readonly username: string
  /** A repository with a tag or digest, or the name of what it happened to; empty where that has none. */
  readonly resource: string
  readonly resourceType: string
  readonly operation: string
  /** The trail's own code and, of what was refused, the reason. */
  readonly description: string
  readonly succeeded: boolean
  readonly at: Date
}

/** What the entries of one code are about, and what was done. */
export type Words = { readonly resourceType: string; readonly operation: string }

/** Which entries are listed: what happened in projects (ids) or everywhere, of the codes that have words, up to a position. */
export type TrailListed = { readonly projects: readonly string[] | 'all'; readonly words: ReadonlyMap<string, Words>; readonly end: Position }

const id = { column: 'id', type: 'number' } as const

/** What a list of the trail can be filtered and ordered by. */
export const trailColumns = {
  id,
  username: { column: 'username', type: 'text' },
  resource: { column: 'resource', type: 'text' },
  resource_type: { column: 'resource_type', type: 'text' },
  operation: { column: 'operation', type: 'text' },
  operation_description: { column: 'description', type: 'text' },
  operation_result: { column: 'succeeded', type: 'boolean' },
  op_time: { column: 'at', type: 'time' },
} as const satisfies ListColumns

/** More than one event holds: each entry takes some 45 of its 256,000 bytes. Numbers stay exact in JavaScript up to position 2^40. */
const ENTRIES_PER_EVENT = 8_192

type StoredEntry = {
  id: string; username: string; resource: string; resource_type: string; operation: string
  description: string; succeeded: boolean; at: Date
}

/** A page of the trail, newest first where nothing else is asked. Of pulls it has GETs of manifests answered whole: those that are counted. */
export async function trailList(rows: Rows, { projects, words, end }: TrailListed, asked: ListAsked): Promise<Page<ListedEntry>> {
  const listed = [...words].map(([code, { resourceType, operation }]) => ({ code, resourceType, operation }))
  const values = [
    String(positionNumber(end)),
    listed.map(({ code }) => code),
    listed.map(({ resourceType }) => resourceType),
    listed.map(({ operation }) => operation),
    ...(projects === 'all' ? [] : [projects]),
  ]
  const select = (schema: string): string => selectEntries(schema, projects === 'all' ? undefined : '$5::text[]')
  const { items, total } = await listPage<StoredEntry>(rows, { select, values, key: 'id', order: [{ by: id, descending: true }] }, asked)
  return { items: items.map(({ id: number, resource_type: resourceType, ...entry }) => ({ ...entry, id: Number(number), resourceType })), total }
}

/** What was refused says itself what it would have been. */
function selectEntries(schema: string, projects: string | undefined): string {
  const those = (condition: (schema: string, projects: string) => string): string => (projects === undefined ? '' : `and ${condition(schema, projects)}`)
  return `select e.pos * ${ENTRIES_PER_EVENT} + e.idx as id, e.at,
      coalesce(who.name, split_part(who.subject, ':', case when who.subject ~ '^(user|robot):' then 2 else 1 end), '') as username,
      coalesce(project.name || substring(repository.value from '/.*') || coalesce(':' || e.tag, ':' || asked.value, '@' || coalesce(e.digest, pulled.value), ''),
        robot.name, project.name, person.name, party.name, e.parameters ->> 'name', '') as resource,
      coalesce(substring(e.parameters ->> 'action' from '^(.*):'), said.resource_type) as resource_type,
      coalesce(substring(e.parameters ->> 'action' from '[^:]*$'), said.operation) as operation,
      e.action || coalesce(': ' || (e.parameters ->> 'reason'), '') as description, e.action <> 'refused' as succeeded
    from (
      select pos, idx, at, action, repository, tag, digest, parameters::jsonb as parameters, caller,
        null::integer as reference, null::integer as numbered_digest
      from ${schema}.trail where pos <= $1::bigint ${those(happenedTo)}
      union all
      select pos, idx, at, 'pull', repository, null, null, null, caller, reference, digest
      from ${schema}.pulls where pos <= $1::bigint and status = 200 and not head ${those(happenedIn)}
    ) e
    join unnest($2::text[], $3::text[], $4::text[]) as said (code, resource_type, operation) on said.code = e.action
    left join ${schema}.callers who on who.caller = e.caller
    left join ${schema}.repository_names repository on repository.n = e.repository
    left join ${schema}.pull_references asked on asked.n = e.reference and position(':' in asked.value) = 0
    left join ${schema}.digests pulled on pulled.n = e.numbered_digest
    left join ${schema}.projects project on project.id = coalesce(split_part(repository.value, '/', 1), e.parameters ->> 'project')
    left join ${schema}.robots robot on robot.id = e.parameters ->> 'robot'
    left join ${schema}.users person on person.id = e.parameters ->> 'user'
    left join ${schema}.groups party on party.id = e.parameters ->> 'group'`
}
