import { Type } from '@sinclair/typebox'
import { DigestText, RepositoryText, SealedText, Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** The first event of `activity-<boot>`: one process start is one producer of pulls. */
export const ProcessStarted = eventType('ProcessStarted', Type.Object({ release: Type.String() }, closed))

/** A pull's columns, in order. What follows the request id stands only where it is not the usual, null or cut off at the end. */
export const PULL_COLUMNS = ['caller', 'artifact', 'milliseconds', 'request', 'reference', 'method', 'status', 'range', 'asOf'] as const

const Index = Type.Integer({ minimum: 0 })
const OrNull = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Integer>>(type: T) => Type.Union([type, Type.Null()])

/** Usual, and so left out: asked by the digest itself, GET, 200, no range, no as-of. */
const Pull = Type.Union([
  Type.Tuple([Index, Index, Index, Uuid]),
  Type.Tuple([
    Index,
    Index,
    Index,
    Uuid,
    OrNull(Type.String()),
    OrNull(Type.String()),
    OrNull(Type.Integer()),
    OrNull(Type.String()),
    OrNull(Type.String()),
  ]),
])

/**
 * What one commit holds of pulls. `callers` and `artifacts` stand once; a pull names them by index, and says how many
 * milliseconds after the event's `at` it was asked. A pull's own id is `<event id>.<index>`.
 */
export const PullsRecorded = eventType(
  'PullsRecorded',
  Type.Object(
    {
      callers: Type.Array(Type.Object({ kind: Type.String(), subject: Uuid, private: Type.Optional(SealedText) }, closed)),
      artifacts: Type.Array(
        Type.Object({ repository: RepositoryText, digest: DigestText, blob: Type.Optional(Type.Literal(true)) }, closed),
      ),
      columns: Type.Array(Type.String()),
      pulls: Type.Array(Pull),
    },
    closed,
  ),
)

export type PullsData = FactOf<typeof PullsRecorded>['data']
export type PullRow = PullsData['pulls'][number]

export type ActivityFact = FactOf<typeof ProcessStarted> | FactOf<typeof PullsRecorded>
