import { pullOf } from '../commands/activity/events.ts'
import type { PullsData } from '../commands/activity/events.ts'
import type { Recorded } from '../ports/event.ts'
import { positionNumber } from '../ports/position.ts'
import { callerColumns, callerOf } from './caller.ts'
import { isActivity } from './facts.ts'
import { put } from './projection.ts'
import type { Change, FoldContext, Projection, Table } from './projection.ts'

/** A row for each GET of a manifest and each HEAD by tag. GETs of blobs stay in the log, and in the counters. */
const pullRows: Table = {
  name: 'pulls',
  columns: {
    pos: 'bigint',
    idx: 'integer',
    at: 'timestamptz',
    repository: { numbered: 'repository_names' },
    digest: { numbered: 'digests' },
    reference: { numbered: 'pull_references' },
    ...callerColumns,
    head: 'boolean',
    status: 'integer',
  },
  key: ['pos', 'idx'],
  once: true,
}

const counters: Table = {
  name: 'pull_counts',
  columns: { repository: { numbered: 'repository_names' }, digest: { numbered: 'digests' }, blob: 'boolean', pulls: 'bigint', last_pulled: 'timestamptz' },
  key: ['repository', 'digest', 'blob'],
}

/** Who pulled what and when, how often each artifact was pulled, and when last. A count of pulls counts manifests answered 200. */
export const pulls: Projection = {
  name: 'pulls',
  tables: [pullRows, counters],
  needs(event) {
    if (!isActivity(event) || event.type !== 'PullsRecorded') return {}
    return { sealed: event.data.callers.flatMap((caller) => (caller.private === undefined ? [] : [caller.private])) }
  },
  fold(recorded, context): readonly Change[] {
    if (!isActivity(recorded.event) || recorded.event.type !== 'PullsRecorded') return []
    return changesOf(recorded, Date.parse(recorded.event.at), recorded.event.data, context)
  },
}

function changesOf(recorded: Recorded, at: number, data: PullsData, context: FoldContext): Change[] {
  const callers = data.callers.map((caller) => callerOf(caller, context))
  const pos = positionNumber(recorded.position)
  const changes: Change[] = callers.map(({ change }) => change)
  for (const [idx, pull] of data.pulls.entries()) {
    const { caller, artifact, milliseconds, request, reference, method, status } = pullOf(pull, data, callers)
    const { repository, digest } = artifact
    const when = new Date(at + milliseconds).toISOString()
    const blob = artifact.blob === true
    const head = method === 'HEAD'
    if (!blob) {
      changes.push(put(pullRows, { pos, idx, at: when, repository, digest, reference, caller: caller.caller, request, head, status }))
    }
    if (!head && (status === 200 || (blob && status === 206))) {
      changes.push({ kind: 'add', table: counters, key: { repository, digest, blob }, count: ONE, latest: { last_pulled: when } })
    }
  }
  return changes
}

const ONE = { pulls: 1 }
