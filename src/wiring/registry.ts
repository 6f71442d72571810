import type { Metrics } from '../api/metrics.ts'
import type { Registry } from '../api/registry.ts'
import { createSettings } from '../api/settings.ts'
import { SERVICE } from '../api/token/token.ts'
import type { Opened } from '../cli/opened.ts'
import { createAccessRecorder } from '../commands/activity/record-access.ts'
import { startPullRecorder } from '../commands/activity/record.ts'
import { createHandler } from '../commands/handle.ts'
import { bearerChallenge } from '../identity/tokens/challenge.ts'
import { REQUEST_PATIENCE_MS } from '../ports/patience.ts'
import { comparePositions, positionNumber } from '../ports/position.ts'
import type { Position } from '../ports/position.ts'
import { startReadModels } from '../projections/follower.ts'
import type { ReadModels } from '../projections/follower.ts'
import { createPool } from '../storage/postgres/pool.ts'
import { openUploadSessions } from '../storage/upload-sessions.ts'

export type StartedRegistry = Awaited<ReturnType<typeof startRegistry>>

/**
 * Starts what folds the log and what records into it: all that the doors of /v2 work with, once the read models have what the log has.
 * What was started is closed in the reverse order, also where a later part fails to start.
 */
export async function startRegistry(options: {
  readonly opened: Opened
  readonly boot: string
  readonly release: string
  readonly metrics: Metrics
  readonly publicUrl: () => string
}) {
  const { opened, boot, release, metrics, publicUrl } = options
  const { config, logger, connection, pool, log, blobs, sealer, reads } = opened
  await using closing = new AsyncDisposableStack()
  const queryPool = createPool({
    ...connection,
    max: 12,
    application_name: 'varve requests',
    query_timeout: REQUEST_PATIENCE_MS,
    // What requests write through it are sessions of uploads and browsers, which a crash may take.
    options: '-c synchronous_commit=off',
  })
  closing.defer(() => queryPool.end())
  const readModels = await startReadModels({ pool, queryPool, log, reads, logger })
  closing.defer(() => readModels.close())
  await catchUp(opened, readModels)
  measureLag(opened, readModels, metrics)
  const recording = { log, boot, now: Date.now, timeoutMs: REQUEST_PATIENCE_MS }
  const recorder = await startPullRecorder({ ...recording, release, maxPullsPerEvent: config.pullsPerEvent ?? Infinity })
  const access = createAccessRecorder(recording)
  closing.defer(() => access.drain())
  closing.defer(() => recorder.drain())

  async function visible(position: Position, signal = AbortSignal.timeout(REQUEST_PATIENCE_MS)): Promise<boolean> {
    const isVisible = await readModels.visible(position, signal)
    if (!isVisible) logger.error({ position }, 'the catalogue is behind by more than a request waits for')
    return isVisible
  }

  const registry: Registry = {
    reader: readModels.reader,
    identity: readModels.identity,
    queries: readModels.queries,
    decisionRows: readModels.decisionRows,
    handle: createHandler(log),
    recorder,
    access,
    blobs,
    sessions: await openUploadSessions(queryPool),
    visible,
    sparse: config.sparse === 'accept',
    challenge: (needed, error) =>
      bearerChallenge({ realm: `${publicUrl()}/service/token`, service: SERVICE, needed, ...(error === undefined ? {} : { error }) }),
    settings: createSettings(readModels.identity, sealer),
    now: () => new Date(),
    logger,
    metrics,
  }

  const started = closing.move()
  return {
    registry,
    readModels,
    queryPool,
    /** Once no request comes any more: what was recorded is durable before. */
    close: () => started.disposeAsync(),
  }
}

/** What was answered 201 before a crash must be there before anybody asks for it. */
async function catchUp({ log, logger }: Opened, readModels: ReadModels): Promise<void> {
  const head = await log.head()
  const isVisible = async () => head === undefined || readModels.visible(head, AbortSignal.timeout(REQUEST_PATIENCE_MS))
  while (!(await isVisible()) && readModels.failure() === undefined) logger.info('the read models catch up')
  if (readModels.failure() !== undefined) throw new Error('the read models cannot be folded', { cause: readModels.failure() })
}

function measureLag({ config, log }: Opened, readModels: ReadModels, metrics: Metrics): void {
  for (const name of ['catalogue', 'trail'] as const) {
    const lag = async (): Promise<number> => {
      const [last, done] = [await log.head(), readModels.checkpoints()[name]]
      if (last === undefined || done === undefined || comparePositions(last, done) <= 0) return 0
      return Number(positionNumber(last) - positionNumber(done))
    }
    metrics.watchLag(name, lag, config.log?.kind === 'eventstoredb' ? 'bytes' : 'events')
  }
}
