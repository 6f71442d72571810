import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '../ports/event-log.ts'
import { comparePositions } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import type { ProjectionGroup } from '../projections/projection.ts'
import { isVersionGone, liveVersion, schemaName } from '../projections/read-models.ts'
import { foldableVersion } from '../projections/rebuild.ts'
import { foldUpTo, openFolder, readCheckpoint } from '../projections/runner.ts'
import type { Opened } from './opened.ts'

/** How long a command waits for the server's read models. */
const PATIENCE_MS = 30_000
const POLL_MS = 100

/**
 * Makes sure that the live read models of a group hold every event up to `end`, and answers the schema that they stand in. Beside
 * a server it waits, since the server folds them; without one it folds them itself. Where the server is not there in time, that is
 * said on standard error, and what there is is used.
 */
export async function caughtUp(opened: Opened, group: ProjectionGroup, end: Position): Promise<string> {
  const { schema, behind } = await catchUp(opened, group, end)
  if (behind !== undefined) process.stderr.write(`varve: ${behind}: what happened since is not shown\n`)
  return schema
}

/** As `caughtUp`, for who cannot do with less: `behind` says it where the server is not there in time. */
export async function catchUp({ pool, log, reads, serverRuns }: Opened, group: ProjectionGroup, end: Position): Promise<{ readonly schema: string; readonly behind?: string }> {
  if (!serverRuns) {
    const onOutdated = (): void => {
      process.stderr.write('varve: the read models were made by another release: they are made anew from the log\n')
    }
    const version = await foldableVersion({ pool, log, reads, onOutdated })
    await foldUpTo(log, [{ folder: await openFolder(pool, schemaName(version), group, reads), group, end }], () => undefined)
    return { schema: schemaName(version) }
  }
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    // Another version may go live meanwhile, and the one that was live be dropped.
    const schema = schemaName((await liveVersion(pool)) ?? 1)
    const position = await reachedIn(pool, schema, group)
    if (position !== 'gone' && !(await isBehind(log, group, position, end))) return { schema }
    if (performance.now() > deadline) {
      return { schema, behind: `the ${group.name} has come to ${position ?? 'the beginning'} only, not to ${end}` }
    }
    await sleep(POLL_MS)
  }
}

async function reachedIn(pool: Opened['pool'], schema: string, group: ProjectionGroup): Promise<Position | undefined | 'gone'> {
  try {
    return (await readCheckpoint(pool, schema, group.name)).position
  } catch (error) {
    if (isVersionGone(error)) return 'gone'
    throw error
  }
}

/** A checkpoint moves at events of its own lanes, so one short of `end` may have all that there is. */
async function isBehind(log: EventLog, group: ProjectionGroup, reached: Position | undefined, end: Position): Promise<boolean> {
  if (reached !== undefined && comparePositions(reached, end) >= 0) return false
  for await (const next of log.readAll(group.lanes, reached === undefined ? 'start' : { after: reached })) return comparePositions(next.position, end) <= 0
  return false
}
