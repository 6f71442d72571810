import { NO_STREAM } from './expected.ts'
import type { Expected } from './expected.ts'
import { isSoftDeleted } from './log.ts'
import type { Log } from './log.ts'
import { metadataStreamOf } from './record.ts'

export type Decision =
  /** `revives`: the stream was deleted, and what came before stays hidden. */
  | { readonly kind: 'write'; readonly after: bigint; readonly revives: boolean }
  /** The same ids stand there already; `revision` is that of the last of them. */
  | { readonly kind: 'repeat'; readonly revision: bigint }
  | { readonly kind: 'wrong-revision'; readonly current: bigint }
  | { readonly kind: 'deleted' }

/**
 * Whether an append of events with these ids goes to a stream, is there already, or is refused. A repeat is known by its ids alone:
 * at an explicit revision by what stands there, else by what was stored lately.
 */
export function decide(log: Log, stream: string, expected: Expected, ids: readonly string[]): Decision {
  if (log.hasTombstone(stream)) return { kind: 'deleted' }
  const current = log.lastRevision(stream)
  const softDeleted = isSoftDeleted(log, stream)
  const wrong: Decision = { kind: 'wrong-revision', current }
  const write: Decision = { kind: 'write', after: current, revives: softDeleted }
  if (expected.kind !== 'revision') {
    if (expected.kind === 'exists') {
      if (softDeleted) return { kind: 'deleted' }
      if (current === NO_STREAM && log.lastRevision(metadataStreamOf(stream)) === NO_STREAM) return wrong
    }
    return storedLately(log, stream, ids) ?? write
  }
  if (expected.revision > current) return wrong
  if (expected.revision === current) return write
  if (ids.length === 0) return wrong
  const matching = ids.filter((id, index) => log.at(stream, expected.revision + BigInt(index) + 1n)?.id === id).length
  if (matching === ids.length) return { kind: 'repeat', revision: expected.revision + BigInt(ids.length) }
  return expected.revision === NO_STREAM && softDeleted && matching === 0 ? write : wrong
}

function storedLately(log: Log, stream: string, ids: readonly string[]): Decision | undefined {
  const places = ids.map((id) => {
    const place = log.recentIds.find(id)
    return place?.stream === stream ? place : undefined
  })
  if (places[0] === undefined) return undefined
  const last = places.at(-1)
  if (last === undefined || places.includes(undefined)) return { kind: 'wrong-revision', current: log.lastRevision(stream) }
  return { kind: 'repeat', revision: last.revision }
}
