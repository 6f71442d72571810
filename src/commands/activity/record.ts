import { randomUUID } from 'node:crypto'
import type { Digest } from '../../oci/digest.ts'
import type { Actor, Event } from '../../ports/event.ts'
import { MAX_APPEND_BYTES, MAX_EVENT_BYTES } from '../../ports/event-log.ts'
import type { EventLog } from '../../ports/event-log.ts'
import type { Sealed } from '../../ports/key-store.ts'
import { streams } from '../../ports/streams.ts'
import type { RepositoryKey } from '../../ports/streams.ts'
import { PULL_COLUMNS, ProcessStarted, PullsRecorded } from './events.ts'
import type { PullRow, PullsData } from './events.ts'

/** One object for each caller, shared by its pulls: batches tell callers apart by identity. */
export type Caller = { readonly kind: Actor['kind']; readonly subject: string; readonly private?: Sealed }

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

type Batch = { readonly events: PullsEvent[]; bytes: number; readonly done: PromiseWithResolvers<undefined>; timer?: NodeJS.Timeout }

export type PullRecorder = Awaited<ReturnType<typeof startPullRecorder>>

/** The log took longer than pulls wait for. */
export class LogUnavailableError extends Error {
  override readonly name = 'LogUnavailableError'
}

/** What an event may hold beside its pulls, and what one pull, caller or artifact takes of it at most, in bytes of canonical text. */
const EVENT_FRAME_BYTES = 1_000
const PULL_BYTES = 120
const ARTIFACT_BYTES = 100
const CALLER_BYTES = 120

/**
 * Records pulls before their bytes leave. While one append is under way the next batch gathers; the first of a quiet time gathers
 * until the end of the event loop's turn. One producer a stream, one append at a time, so its revision is known without a read.
 *
 * When the log gives no answer in `timeoutMs`, those who wait are told so. A batch that was not sent is then dropped, since nobody
 * gets its bytes; one that was sent is repeated by the log until its outcome is known.
 */
export async function startPullRecorder(options: {
  readonly log: EventLog
  readonly boot: string
  readonly release: string
  readonly now: () => number
  readonly maxPullsPerEvent: number
  readonly timeoutMs: number
}) {
  const { log, boot, now, maxPullsPerEvent, timeoutMs } = options
  const stream = streams.activity(boot)
  const actor: Actor = { kind: 'system', subject: boot }
  const waiting: Batch[] = []
  let sending: Batch | undefined
  const started = await log.append(stream, -1, [wrap(ProcessStarted({ release: options.release }), now())])
  if (started.status === 'conflict') throw new Error(`${stream} exists already: two processes took one boot id`)
  let revision = 0

  function wrap<F extends { readonly type: string; readonly version: number; readonly data: unknown }>(fact: F, at: number): Event<F> {
    return { ...fact, id: randomUUID(), at: new Date(at).toISOString(), actor }
  }

  function newBatch(): Batch {
    const batch: Batch = { events: [], bytes: 0, done: Promise.withResolvers() }
    // A batch of pulls that nobody waits for has nobody to tell.
    batch.done.promise.catch(() => undefined)
    batch.timer = setTimeout(() => {
      if (waiting.includes(batch)) waiting.splice(waiting.indexOf(batch), 1)
      batch.done.reject(new LogUnavailableError(`the log gave no answer in ${timeoutMs} ms`))
    }, timeoutMs)
    waiting.push(batch)
    if (sending === undefined && waiting.length === 1) setImmediate(sendNext)
    return batch
  }

  function join(pull: Pull): Batch {
    const last = waiting.at(-1)
    const batch = last !== undefined && last.bytes + MAX_EVENT_BYTES < MAX_APPEND_BYTES ? last : newBatch()
    const time = now()
    const event = batch.events.at(-1)
    const bytes = event?.add(pull, time) ?? 0
    if (bytes > 0) batch.bytes += bytes
    else {
      const fresh = createPullsEvent(time, maxPullsPerEvent)
      batch.bytes += EVENT_FRAME_BYTES + fresh.add(pull, time)
      batch.events.push(fresh)
    }
    return batch
  }

  function sendNext(): void {
    if (sending !== undefined) return
    sending = waiting.shift()
    if (sending !== undefined) void send(sending)
  }

  async function send(batch: Batch): Promise<void> {
    let failure: unknown
    try {
      const events = batch.events.map((event) => wrap(PullsRecorded(event.data), event.at))
      const appended = await log.append(stream, revision, events)
      if (appended.status === 'appended') revision += events.length
      else {
        revision = appended.actual
        failure = new Error(`${stream} has another producer`)
      }
    } catch (error) {
      failure = error
    }
    sending = undefined
    // The next append is under way before the answers of this one are written.
    sendNext()
    clearTimeout(batch.timer)
    if (failure === undefined) batch.done.resolve(undefined)
    else batch.done.reject(failure)
  }

  return {
    /** Resolves once the pull is durable; rejects with LogUnavailableError where that took too long. */
    async record(pull: Pull): Promise<void> {
      await join(pull).done.promise
    },
    /** Records without being waited for. */
    note(pull: Pull): void {
      join(pull)
    },
    /** Waits until what was recorded so far is durable, or has failed. */
    async drain(): Promise<void> {
      for (const batch of [sending, ...waiting]) await batch?.done.promise.catch(() => undefined)
    },
  }
}

type PullsEvent = ReturnType<typeof createPullsEvent>

/** An event in the making: callers and artifacts stand once, whatever number of pulls name them. */
function createPullsEvent(at: number, maxPulls: number) {
  const callers = new Map<Caller, number>()
  const artifacts = new Map<string, number>()
  // Keys in their canonical order here, and below: so the codec has nothing to sort.
  const data: PullsData = { artifacts: [], callers: [], columns: [...PULL_COLUMNS], pulls: [] }
  let bytes = EVENT_FRAME_BYTES

  return {
    at,
    data,
    /** Adds a pull and answers by how many bytes, at most, the event grew; 0 where it is full. */
    add(pull: Pull, time: number): number {
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

function rowOf(pull: Pull, caller: number, artifact: number, milliseconds: number): PullRow {
  const { requestId, reference = null, method = null, status = null, range = null } = pull
  if (reference === null && method === null && status === null && range === null) return [caller, artifact, milliseconds, requestId]
  return [caller, artifact, milliseconds, requestId, reference, method, status, range, null]
}
