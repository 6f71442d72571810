import type { Digest } from '../../oci/digest.ts'
import { MAX_EVENT_BYTES } from '../../ports/event-log.ts'
import type { EventLog } from '../../ports/event-log.ts'
import { streams } from '../../ports/streams.ts'
import type { RepositoryKey } from '../../ports/streams.ts'
import { CALLER_BYTES, EVENT_FRAME_BYTES, createBatches, recordedBy } from './batches.ts'
import type { Caller, Gathering } from './batches.ts'
import { PULL_COLUMNS, ProcessStarted, PullsRecorded } from './events.ts'
import type { PullRow, PullsData } from './events.ts'

/** A request for a manifest or a blob. What is usual is left out: asked by digest, GET, 200, the whole of it, as of now. */
export type Pull = {
  readonly caller: Caller
  readonly repository: RepositoryKey
  readonly digest: Digest
  readonly blob?: true
  readonly requestId: string
  readonly reference?: string
  readonly method?: 'HEAD'
  readonly status?: 206 | 304
  readonly range?: string
}

export type PullRecorder = Awaited<ReturnType<typeof startPullRecorder>>

/** What one pull or artifact takes of an event at most, in bytes of canonical text. */
const PULL_BYTES = 120
const ARTIFACT_BYTES = 100

/** Records pulls before their bytes leave, in batches. */
export async function startPullRecorder(options: {
  readonly log: EventLog
  readonly boot: string
  readonly release: string
  readonly now: () => number
  readonly maxPullsPerEvent: number
  readonly timeoutMs: number
}) {
  const { log, boot, release, now, maxPullsPerEvent, timeoutMs } = options
  const stream = streams.activity(boot)
  const started = await log.append(stream, -1, [recordedBy(boot, ProcessStarted({ release }), now())])
  if (started.status === 'conflict') throw new Error(`${stream} exists already: two processes took one boot id`)
  return createBatches<Pull>({ log, stream, revision: 0, boot, now, timeoutMs, begin: (at) => createPullsEvent(at, maxPullsPerEvent) })
}

/** An event in the making: callers and artifacts stand once, whatever number of pulls name them. */
function createPullsEvent(at: number, maxPulls: number): Gathering<Pull> {
  const callers = new Map<Caller, number>()
  const artifacts = new Map<string, number>()
  // Keys in their canonical order here, and below: so the codec has nothing to sort.
  const data: PullsData = { artifacts: [], callers: [], columns: [...PULL_COLUMNS], pulls: [] }
  let bytes = EVENT_FRAME_BYTES

  return {
    at,
    fact: () => PullsRecorded(data),
    add(pull, time) {
      const { repository, digest, blob } = pull
      const artifactKey = `${blob === true ? 'blob' : 'manifest'} ${repository}@${digest}`
      let size = PULL_BYTES + (pull.reference === undefined ? 0 : Buffer.byteLength(JSON.stringify(pull.reference))) + (pull.range?.length ?? 0)
      if (!callers.has(pull.caller)) size += CALLER_BYTES + (pull.caller.private?.length ?? 0)
      if (!artifacts.has(artifactKey)) size += ARTIFACT_BYTES + Buffer.byteLength(artifactKey)
      if (bytes + size >= MAX_EVENT_BYTES || data.pulls.length >= maxPulls) return 0
      bytes += size
      const caller = callers.get(pull.caller) ?? data.callers.push(pull.caller) - 1
      callers.set(pull.caller, caller)
      const artifact = artifacts.get(artifactKey) ?? data.artifacts.push(blob === true ? { blob, digest, repository } : { digest, repository }) - 1
      artifacts.set(artifactKey, artifact)
      data.pulls.push(rowOf(pull, caller, artifact, Math.max(0, time - at)))
      return size
    },
  }
}

function rowOf({ requestId, reference, method, status, range }: Pull, caller: number, artifact: number, milliseconds: number): PullRow {
  if (range !== undefined) return [caller, artifact, milliseconds, requestId, reference ?? null, method ?? null, status ?? null, range]
  if (status !== undefined) return [caller, artifact, milliseconds, requestId, reference ?? null, method ?? null, status]
  if (method !== undefined) return [caller, artifact, milliseconds, requestId, reference ?? null, method]
  return reference === undefined ? [caller, artifact, milliseconds, requestId] : [caller, artifact, milliseconds, requestId, reference]
}
