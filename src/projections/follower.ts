import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Logger } from 'pino'
import type { EventLog } from '../ports/event-log.ts'
import { comparePositions } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import type { DecisionRows } from '../ports/decision-rows.ts'
import { accessQueries } from './access-queries.ts'
import { catalogueQueries } from './catalogue-queries.ts'
import { createCatalogueReader } from './catalogue-reader.ts'
import { identityDecisionRows, identityQueries } from './identity-queries.ts'
import { createIdentityReader } from './identity-reader.ts'
import { peopleQueries } from './people-queries.ts'
import { projectQueries } from './project-queries.ts'
import { TRAIL_PACE, createPace } from './pace.ts'
import type { Pace } from './pace.ts'
import type { ProjectionGroup, Reads } from './projection.ts'
import { catalogueGroup, dropVersion, liveVersion, schemaName, trailGroup } from './read-models.ts'
import { foldableVersion } from './rebuild.ts'
import { follow, openFolder } from './runner.ts'
import type { Committed, Folder } from './runner.ts'
import { createRows } from './versioned-queries.ts'
import { createVisibility } from './visibility.ts'
import type { Visibility } from './visibility.ts'

/** How often it is looked whether another version went live. */
const SWITCH_POLL_MS = 500

type Followed = { readonly version: number; readonly catalogue: Folder; readonly trail: Folder; readonly reached: Visibility; stop(): Promise<void> }

export type ReadModels = Awaited<ReturnType<typeof startReadModels>>

/**
 * Keeps the live read models behind the log by as little as may be, and the memory of them true. When another version goes live it
 * is followed until it has what was shown already; then the queries move over and the memory is dropped.
 */
export async function startReadModels(options: {
  readonly pool: Pool
  /** What requests query through: its queries are bounded in time, those that fold are not. */
  readonly queryPool: Pool
  readonly log: EventLog
  readonly reads: Reads
  readonly logger: Logger
}) {
  const { pool, queryPool, log, reads, logger } = options
  const visibility = createVisibility()
  let failed: unknown
  /** The version that answers come from: it alone says what is visible. */
  let shown = await foldableVersion({
    pool,
    log,
    reads,
    onOutdated() {
      logger.warn('the read models were made by another release: they are made anew from the log, which may take long')
    },
  })
  const rows = createRows(queryPool, () => schemaName(shown))
  const catalogue = catalogueQueries(rows)
  const queries = { ...catalogue, ...identityQueries(rows), ...peopleQueries(rows), ...projectQueries(rows), ...accessQueries(rows) }
  const decisionRows: DecisionRows = { ...identityDecisionRows(rows), repository: (key, names) => catalogue.repository(key, names) }
  const reader = createCatalogueReader(() => queries)
  const identity = createIdentityReader(() => queries)
  const subjectListeners: ((id: string) => void)[] = []
  let followed = await start(shown)
  const end = new AbortController()
  const watching = watchVersion()

  /** Rows are committed: first the memory forgets what they replaced, then the position is called visible. */
  function remember({ events, position }: Committed): void {
    for (const event of events) {
      reader.forget(event)
      const changed = identity.forget(event)
      if (changed !== undefined) for (const listener of subjectListeners) listener(changed)
    }
    visibility.advance(position)
  }

  function clear(): void {
    reader.clear()
    identity.clear()
  }

  async function start(version: number): Promise<Followed> {
    const stopped = new AbortController()
    const reached = createVisibility()
    const onCatalogue = (committed: Committed): void => {
      reached.advance(committed.position)
      if (shown === version) remember(committed)
    }
    const [catalogue, trail] = [await openFolder(pool, schemaName(version), catalogueGroup, reads), await openFolder(pool, schemaName(version), trailGroup, reads)]
    const run = async (folder: Folder, group: ProjectionGroup, onCommitted: (committed: Committed) => void, pace?: Pace): Promise<void> => {
      const onInterrupted = (error: unknown): void => {
        logger.warn({ err: error, group: group.name }, 'a projection was interrupted: it goes on from its checkpoint')
      }
      const onResumed = (): void => {
        if (group === catalogueGroup) clear()
      }
      try {
        await follow({ log, folder, group, signal: stopped.signal, pace, onCommitted, onInterrupted, onResumed })
      } catch (error) {
        failed = error
        logger.fatal({ err: error, group: group.name, version }, 'a projection stopped: it met what it cannot fold')
      }
    }
    const running = [run(catalogue, catalogueGroup, onCatalogue), run(trail, trailGroup, () => undefined, createPace(TRAIL_PACE))]
    return {
      version,
      catalogue,
      trail,
      reached,
      async stop() {
        stopped.abort()
        await Promise.all(running)
      },
    }
  }

  async function watchVersion(): Promise<void> {
    const ended = (): boolean => end.signal.aborted
    while (!ended()) {
      await sleep(SWITCH_POLL_MS, undefined, { signal: end.signal }).catch(() => undefined)
      if (ended()) return
      try {
        const live = await liveVersion(pool)
        if (live !== undefined && live !== followed.version) await moveTo(live)
      } catch (error) {
        logger.warn({ err: error }, 'the live version of the read models could not be read; it is tried again')
      }
    }
  }

  async function moveTo(version: number): Promise<void> {
    const next = await start(version)
    // What was shown once must be there before anybody is asked to look here. Both go on while one is waited for, so it is compared
    // once more after each wait: at the moment of the move the new one has all that was shown.
    for (let passed = visibility.passed(); passed !== undefined && isShort(next.reached.passed(), passed); passed = visibility.passed()) {
      await next.reached.visible(passed, AbortSignal.timeout(1_000))
      if (end.signal.aborted) {
        await next.stop()
        return
      }
    }
    const old = followed
    shown = version
    followed = next
    clear()
    const reached = next.reached.passed()
    if (reached !== undefined) visibility.advance(reached)
    await old.stop()
    await dropVersion(pool, old.version)
    logger.info({ version, before: old.version }, 'the read models moved to another version')
  }

  return {
    reader,
    identity,
    queries: () => queries,
    decisionRows,
    /** Calls with the id of each user or robot that changes, before its change is called visible. */
    onSubjectChanged(listener: (id: string) => void): void {
      subjectListeners.push(listener)
    },
    visible: (position: Position, signal: AbortSignal) => visibility.visible(position, signal),
    /** The schema that queries of the trail read. */
    schema: () => schemaName(followed.version),
    /** How far each group has come. */
    checkpoints: () => ({ catalogue: followed.catalogue.checkpoint().position, trail: followed.trail.checkpoint().position }),
    /** What stopped a group for good, or undefined. */
    failure: () => failed,
    async close(): Promise<void> {
      end.abort()
      await watching
      await followed.stop()
    },
  }
}

function isShort(reached: Position | undefined, of: Position): boolean {
  return reached === undefined || comparePositions(reached, of) < 0
}
