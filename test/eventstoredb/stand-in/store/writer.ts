import { randomUUID } from 'node:crypto'
import { setImmediate as turnEnds } from 'node:timers/promises'
import { decide } from './decide.ts'
import type { Decision } from './decide.ts'
import type { Expected } from './expected.ts'
import { recordsLine } from './line.ts'
import type { Log } from './log.ts'
import { withTruncateBefore } from './metadata.ts'
import { END_OF_STREAM, METADATA_TYPE, TOMBSTONE_TYPE, metadataStreamOf, sizeOnDisk, ticks } from './record.ts'
import type { LogRecord, ProposedEvent, StoredEvent } from './record.ts'
import type { Term } from './terms.ts'

/** What is asked of a stream. */
export type Write =
  | { readonly kind: 'append'; readonly stream: string; readonly expected: Expected; readonly events: readonly ProposedEvent[] }
  /** `forGood`: a tombstone. */
  | { readonly kind: 'delete'; readonly stream: string; readonly expected: Expected; readonly forGood: boolean }

export type Outcome =
  | { readonly kind: 'done'; readonly revision: bigint; readonly position: bigint }
  | { readonly kind: 'wrong-revision'; readonly current: bigint }
  | { readonly kind: 'deleted' }
  /** Nobody waits for it any more; it was not written. */
  | { readonly kind: 'abandoned' }
  /** The process ends or no longer leads. It may have been written. */
  | { readonly kind: 'interrupted' }

export type Writer = {
  /** Resolves once the write is on the disk, or is refused. It is not begun once `isAbandoned` says so. */
  write(write: Write, isAbandoned?: () => boolean): Promise<Outcome>
  /** Answers what waits with `interrupted`, and takes nothing more. */
  stop(): Promise<void>
}

type Waiting = { readonly write: Write; readonly isAbandoned: () => boolean; readonly answer: (outcome: Outcome) => void }

/**
 * Writes in groups: while one is on its way to the disk, the next gathers. `onDeposed` is called when a write was made whose term was
 * over: nothing of it is acknowledged.
 */
export function createWriter(log: Log, term: Term, onDeposed: () => void): Writer {
  let waiting: Waiting[] = []
  let running: Promise<void> | undefined
  const stopping = new AbortController()
  const isStopped = (): boolean => stopping.signal.aborted

  /** An error of the disk ends the process: nobody catches what this rejects with. */
  async function run(): Promise<void> {
    // What cancels a write may stand in the same bytes from the network as the write itself.
    await turnEnds()
    while (waiting.length > 0 && !isStopped()) {
      const group = waiting
      waiting = []
      const decided = group.map((each) => ({ ...each, staged: stage(log, each) }))
      const lines = decided.map(({ staged }) => staged.line).join('')
      const stands = lines === '' || (await term.write(lines))
      if (!stands) {
        for (const { answer } of decided) answer({ kind: 'interrupted' })
        stopping.abort()
        onDeposed()
        break
      }
      log.reveal()
      for (const { staged, answer } of decided) answer(isStopped() ? { kind: 'interrupted' } : staged.outcome)
      await turnEnds()
    }
    if (isStopped()) for (const { answer } of waiting.splice(0)) answer({ kind: 'interrupted' })
    running = undefined
  }

  return {
    write(write, isAbandoned = () => false) {
      if (isStopped()) return Promise.resolve({ kind: 'interrupted' })
      const { promise, resolve } = Promise.withResolvers<Outcome>()
      waiting.push({ write, isAbandoned, answer: resolve })
      running ??= run()
      return promise
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

type Staged = { readonly line: string; readonly outcome: Outcome }

/** Decides a write and adds what it leaves to the log in memory. */
function stage(log: Log, { write, isAbandoned }: Waiting): Staged {
  if (isAbandoned()) return { line: '', outcome: { kind: 'abandoned' } }
  const { stream, expected } = write
  const decision = decide(log, stream, expected, write.kind === 'append' ? write.events.map(({ id }) => id) : [])
  if (decision.kind === 'wrong-revision' || decision.kind === 'deleted') return { line: '', outcome: decision }
  if (decision.kind === 'repeat') {
    const position = log.at(stream, decision.revision)?.position ?? log.end
    return { line: '', outcome: { kind: 'done', revision: decision.revision, position } }
  }
  const { records, outcome } = write.kind === 'append' ? appended(log, write, decision) : deleted(log, write)
  log.add(records)
  return { line: recordsLine(records), outcome }
}

type Written = { readonly records: readonly LogRecord[]; readonly outcome: Outcome }

type Append = Extract<Write, { kind: 'append' }>
type Go = Extract<Decision, { kind: 'write' }>

function appended(log: Log, { stream, events }: Append, { after, revives }: Go): Written {
  const placed = placer(log)
  if (events.length === 0) {
    const empty = placed.empty(stream)
    return { records: [empty], outcome: { kind: 'done', revision: after, position: empty.position } }
  }
  const records = events.map((event, index) => placed.event(stream, after + BigInt(index) + 1n, event))
  const position = records.at(-1)?.position ?? log.end
  const outcome: Outcome = { kind: 'done', revision: after + BigInt(events.length), position }
  if (!revives) return { records, outcome }
  return { records: [...records, placed.event(...truncation(log, stream, after + 1n))], outcome }
}

function deleted(log: Log, { stream, forGood }: Extract<Write, { kind: 'delete' }>): Written {
  const placed = placer(log)
  const record = forGood ? placed.event(stream, END_OF_STREAM, tombstone()) : placed.event(...truncation(log, stream, END_OF_STREAM))
  return { records: [record], outcome: { kind: 'done', revision: record.revision, position: record.position } }
}

function tombstone(): ProposedEvent {
  return { id: randomUUID(), type: TOMBSTONE_TYPE, json: false, data: new Uint8Array(), metadata: new Uint8Array() }
}

/** The metadata event that hides what stands before a revision. */
function truncation(log: Log, stream: string, revision: bigint): [string, bigint, ProposedEvent] {
  const metadataStream = metadataStreamOf(stream)
  const data = withTruncateBefore(log.rawMetadata(stream), revision)
  const event: ProposedEvent = { id: randomUUID(), type: METADATA_TYPE, json: true, data, metadata: new Uint8Array() }
  return [metadataStream, log.lastRevision(metadataStream) + 1n, event]
}

type Placer = { event(stream: string, revision: bigint, event: ProposedEvent): StoredEvent; empty(stream: string): LogRecord }

/** Gives records their positions, one after the other from the end of the log. */
function placer(log: Log): Placer {
  const created = ticks(Date.now())
  let next = log.end
  function advance<Placed extends LogRecord>(record: Placed): Placed {
    next += sizeOnDisk(record)
    return record
  }
  return {
    event: (stream, revision, event) => advance({ ...event, kind: 'event', stream, revision, position: next, created }),
    empty: (stream) => advance({ kind: 'empty', stream, position: next }),
  }
}
