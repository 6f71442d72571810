import { Type } from '@sinclair/typebox'
import { DigestText, RepositoryText, SealedText, Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** The first event of `activity-<boot>`: one process start is one producer of pulls. */
export const ProcessStarted = eventType('ProcessStarted', Type.Object({ release: Type.String() }, closed))

/** A pull's columns, in order. What follows the request id stands only where it is not the usual, null or cut off at the end. */
export const PULL_COLUMNS = ['caller', 'artifact', 'milliseconds', 'request', 'reference', 'method', 'status', 'range', 'asOf'] as const

const Index = Type.Integer({ minimum: 0 })
const OrNull = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Integer>>(type: T) => Type.Union([type, Type.Null()])

const AllOfPull = Type.Tuple([
  Index,
  Index,
  Index,
  Uuid,
  OrNull(Type.String()),
  OrNull(Type.String()),
  OrNull(Type.Integer()),
  OrNull(Type.String()),
  OrNull(Type.String()),
])

/** A pull in its columns. Usual, and so left out: asked by the digest itself, GET, 200, no range, no as-of. */
type Row = readonly [
  caller: number, artifact: number, milliseconds: number, request: string,
  reference?: string | null, method?: string | null, status?: number | null, range?: string | null, asOf?: string | null,
]

/** One shape of any length, and not one of several: each pull's row is checked before its event is written. */
const Pull = Type.Unsafe<Row>({ ...AllOfPull, minItems: 4 })

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

/** A pull as it was, with what is usual put in. */
export type PullRead<C> = {
  readonly caller: C
  readonly artifact: PullsData['artifacts'][number]
  /** After the event's `at`. */
  readonly milliseconds: number
  readonly request: string
  /** As asked; null: the digest. */
  readonly reference: string | null
  readonly method: string
  readonly status: number
  /** Null: all of it. */
  readonly range: string | null
}

/**
 * What a row of an event says. `callers`: what the reader has for each of the event's. Throws where it names none of them, or no artifact.
 * A row at a time: folding a million of them makes no lists.
 */
export function pullOf<C extends object>(pull: PullRow, { artifacts }: Pick<PullsData, 'artifacts'>, callers: readonly C[]): PullRead<C> {
  const [callerIndex, artifactIndex, milliseconds, request, reference = null, method, status, range = null] = pull
  const caller = callers[callerIndex]
  const artifact = artifacts[artifactIndex]
  if (caller === undefined || artifact === undefined) throw new Error(`pull ${request} names no caller or artifact`)
  return { caller, artifact, milliseconds, request, reference, method: method ?? 'GET', status: status ?? 200, range }
}

/** By what somebody logged in. */
export const LOGIN_WAYS = ['password', 'cli-secret', 'robot-secret', 'directory', 'refresh-token', 'sign-on', 'workload-token'] as const

/**
 * Why somebody was not let in, or not let do something. `credentials`: the name is nobody's or the secret is not theirs, which are not told
 * apart. `account-…`: why an Active Directory bars the account, whatever the secret. `token-…`: what is wrong with a token (`ended`: what it
 * rests on is no more). `scope`: the token was not given for this. `role`: no role or permission allows it. `name`: what was asked for has a
 * name that nothing can have. `session`: a browser's has ended, or its cookie is of none. `csrf`: another site's page may have asked.
 * `redirect`: a login was to lead elsewhere. `sign-on`: the provider let nobody in.
 */
export const REFUSAL_REASONS = [
  'credentials', 'account-disabled', 'account-expired', 'account-locked', 'account-password-expired', 'throttled', 'directory-away',
  'token-malformed', 'token-signature', 'token-algorithm', 'token-key', 'token-type', 'token-issuer', 'token-audience',
  'token-expired', 'token-not-yet', 'token-ended', 'scope', 'role', 'name', 'session', 'csrf', 'redirect', 'sign-on',
] as const

const codes = <const T extends readonly string[]>(names: T) => Type.Union(names.map((name: T[number]) => Type.Literal(name)))
const entry = { caller: Index, milliseconds: Index, request: Uuid }
const Granted = Type.Object({ actions: Type.Array(Type.String()), name: Type.String(), type: Type.String() }, closed)

/** Somebody's name and secret, or what stands for them, were verified. One that is remembered from the minute before is no new login. */
const Login = Type.Object({ ...entry, by: codes(LOGIN_WAYS), what: Type.Literal('login') }, closed)

/** A token was issued: for what, and for how many seconds; `refresh`: and one to fetch others with. Neither stands here. */
const Token = Type.Object(
  { ...entry, access: Type.Array(Granted), refresh: Type.Optional(Type.Literal(true)), seconds: Type.Integer({ minimum: 0 }), what: Type.Literal('token') },
  closed,
)

const refusal = {
  caller: Index,
  milliseconds: Index,
  action: Type.Optional(Type.String({ maxLength: 100 })),
  project: Type.Optional(Uuid),
  reason: codes(REFUSAL_REASONS),
  repository: Type.Optional(RepositoryText),
}

/** The first refusal in a minute for one caller or network, reason, repository and action; in one of many, what differs is left out. */
const Refusal = Type.Object({ ...refusal, request: Uuid, what: Type.Literal('refusal') }, closed)

/** How many more like it came after it in that minute. */
const Refusals = Type.Object({ ...refusal, count: Type.Integer({ minimum: 1 }), what: Type.Literal('refusals') }, closed)

/** The trail, or who could do what, was read or exported; `asked`: what was looked for, where that is nobody's name. */
const Reading = Type.Object(
  { ...entry, asked: Type.Record(Type.String(), Type.String()), exported: Type.Optional(Type.Literal(true)), of: codes(['trail', 'access']), what: Type.Literal('reading') },
  closed,
)

/**
 * Who logged in, was issued a token, was refused, or read the trail: what one commit holds of it, in `access-<boot>`. `callers` stand once,
 * and entries name them by index; nothing that was typed as a name or password stands in any. An entry's own id is `<event id>.<index>`.
 */
export const AccessRecorded = eventType(
  'AccessRecorded',
  Type.Object(
    {
      callers: Type.Array(Type.Object({ kind: Type.String(), subject: Uuid, private: Type.Optional(SealedText) }, closed)),
      entries: Type.Array(Type.Union([Login, Token, Refusal, Refusals, Reading])),
    },
    closed,
  ),
)

export type AccessData = FactOf<typeof AccessRecorded>['data']
export type AccessEntry = AccessData['entries'][number]
export type LoginWay = (typeof LOGIN_WAYS)[number]
export type RefusalReason = (typeof REFUSAL_REASONS)[number]

export type ActivityFact = FactOf<typeof ProcessStarted> | FactOf<typeof PullsRecorded> | FactOf<typeof AccessRecorded>
