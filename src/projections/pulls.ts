import type { PullsData } from '../commands/activity/events.ts'
import type { Recorded } from '../ports/event.ts'
import { positionNumber } from '../ports/position.ts'
import { callerColumns, callerRow } from './caller.ts'
import { isActivity } from './facts.ts'
import { put } from './projection.ts'
import type { Change, FoldContext, Projection, Table } from './projection.ts'

/** A row for each GET of a manifest and each HEAD by tag. GETs of blobs stay in the log, and in the counters. */
export const pullRows: Table = {
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
  async fold(recorded, context): Promise<readonly Change[]> {
    if (!isActivity(recorded.event) || recorded.event.type !== 'PullsRecorded') return []
    return changesOf(recorded, Date.parse(recorded.event.at), recorded.event.data, context)
  },
}

async function changesOf(recorded: Recorded, at: number, data: PullsData, context: FoldContext): Promise<Change[]> {
  const callers = await Promise.all(
    data.callers.map(async (caller) => ({ ...caller, opened: caller.private && (await context.openPrivate(caller.private)) })),
  )
  const pos = positionNumber(recorded.position)
  return data.pulls.flatMap((pull, idx): Change[] => {
    const [callerIndex, artifactIndex, milliseconds, request, reference = null, method = null, status = null] = pull
    const caller = callers[callerIndex]
    const artifact = data.artifacts[artifactIndex]
    if (caller === undefined || artifact === undefined) throw new Error(`pull ${recorded.event.id}.${idx} names no caller or artifact`)
    const when = new Date(at + milliseconds).toISOString()
    const blob = artifact.blob === true
    const head = method === 'HEAD'
    const row = put(pullRows, {
      pos,
      idx,
      at: when,
      repository: artifact.repository,
      digest: artifact.digest,
      reference,
      ...callerRow(caller.kind, caller.subject, caller.opened, request),
      head,
      status: status ?? 200,
    })
    const counted: Change = {
      kind: 'add',
      table: counters,
      key: { repository: artifact.repository, digest: artifact.digest, blob },
      count: { pulls: 1 },
      latest: { last_pulled: when },
    }
    const counts = !head && (status === null || status === 200 || (blob && status === 206))
    return [...(blob ? [] : [row]), ...(counts ? [counted] : [])]
  })
}
