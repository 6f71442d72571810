import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { EventLog } from '../ports/event-log.ts'
import { comparePositions } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { named } from './audit-documents.ts'
import type { NamedEntry } from './audit-documents.ts'
import { auditPage, projectNames } from './audit-queries.ts'
import type { AuditCursor, AuditFilter } from './audit-queries.ts'
import type { ListAsked, Page } from './lists.ts'
import { TRAIL_PACE } from './pace.ts'
import { trailList } from './trail-list.ts'
import type { ListedEntry, TrailListed } from './trail-list.ts'
import { createRows, patiently } from './versioned-queries.ts'

/** As far as the trail may be behind, and what folding it then takes. */
const PATIENCE_MS = TRAIL_PACE.patienceMs + 2_000
const POLL_MS = 50

export type TrailReader = ReturnType<typeof createTrailReader>

/** The trail for those who ask a server. `reached`: how far it has come. */
export function createTrailReader(options: {
  readonly pool: Pool
  readonly log: Pick<EventLog, 'head'>
  readonly schema: () => string
  readonly reached: () => Position | undefined
}) {
  const { pool, log, schema, reached } = options
  const rows = createRows(pool, schema)

  /** Up to where the trail can be read: what had happened when it was asked, or, where that is not there in time, as far as it has come. */
  async function end(): Promise<Position | undefined> {
    const head = await log.head()
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      const position = reached()
      if (head === undefined || (position !== undefined && comparePositions(position, head) >= 0)) return head
      if (performance.now() > deadline) return position
      await sleep(POLL_MS)
    }
  }

  return {
    end,

    /** A page of it as a list that is counted: what had happened when it was asked. */
    async list(listed: Omit<TrailListed, 'end'>, asked: ListAsked): Promise<Page<ListedEntry>> {
      const until = await end()
      return until === undefined ? { items: [], total: 0 } : trailList(rows, { ...listed, end: until }, asked)
    },

    /** A page of it, pulls of manifests among it, under the names that projects have, or had last. */
    async page(filter: AuditFilter, range: { readonly after: AuditCursor | undefined; readonly end: Position; readonly limit: number }): Promise<NamedEntry[]> {
      return patiently(async () => {
        const version = schema()
        const entries = await auditPage(pool, version, filter, { ...range, pulls: true })
        return named(entries, (ids) => projectNames(pool, version, ids))
      })
    },
  }
}
