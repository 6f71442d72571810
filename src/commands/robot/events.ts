import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Instant, SealedText, Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

const Access = Type.Object({ resource: Type.String({ minLength: 1, maxLength: 64 }), action: Type.String({ minLength: 1, maxLength: 64 }) }, closed)

/** What a robot may do: on the registry itself, on every project (`*`), or on one, by its id, so that another of its name is not meant. */
export const RobotPermission = Type.Union([
  Type.Object({ kind: Type.Literal('system'), access: Type.Array(Access) }, closed),
  Type.Object({ kind: Type.Literal('project'), project: Type.Union([Type.Literal('*'), Uuid]), access: Type.Array(Access) }, closed),
])

/** A workload that may log in as the robot with a token of its OIDC issuer: `subject` and claims are compared as patterns with `*`. */
export const WorkloadRule = Type.Object(
  {
    issuer: Type.String({ minLength: 1, maxLength: 1_000 }),
    audience: Type.String({ minLength: 1, maxLength: 1_000 }),
    subject: Type.String({ minLength: 1, maxLength: 1_000 }),
    claims: Type.Record(Type.String({ maxLength: 255 }), Type.String({ maxLength: 1_000 })),
  },
  closed,
)

/** What of a robot can be changed. `expiresAt` is null where it never expires. */
const Terms = {
  description: Type.String({ maxLength: 1_024 }),
  disabled: Type.Boolean(),
  expiresAt: Type.Union([Instant, Type.Null()]),
  permissions: Type.Array(RobotPermission, { maxItems: 1_000 }),
  workloads: Type.Array(WorkloadRule, { maxItems: 100 }),
}
export const RobotTerms = Type.Object(Terms, closed)

/** Stands in the stream `robots`, where names are unique by project; carries the robot's whole first state. */
export const RobotCreated = eventType(
  'RobotCreated',
  Type.Object(
    {
      robot: Uuid,
      number: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
      name: Type.String({ minLength: 1, maxLength: 255 }),
      /** The project that it belongs to; a robot of the system belongs to none. */
      project: Type.Optional(Uuid),
      verifier: SealedText,
      ...Terms,
    },
    closed,
  ),
)

export const RobotDeleted = eventType('RobotDeleted', Type.Object({ robot: Uuid }, closed))

export const robotsEvents = [RobotCreated, RobotDeleted] as const

/** Of the set of robots. */
export type RobotsFact = FactOf<(typeof robotsEvents)[number]>

/** Stands in `robot-<id>`, as the one below. */
export const RobotChanged = eventType('RobotChanged', Type.Object({ from: RobotTerms, to: RobotTerms }, closed))

/** Each token that came of the old secret ends. */
export const RobotSecretRefreshed = eventType('RobotSecretRefreshed', Type.Object({ verifier: SealedText }, closed))

export const robotEvents = [RobotChanged, RobotSecretRefreshed] as const

/** Of one robot. */
export type RobotFact = FactOf<(typeof robotEvents)[number]>

export type RobotPermission = Static<typeof RobotPermission>
export type RobotTerms = Static<typeof RobotTerms>
export type WorkloadRule = Static<typeof WorkloadRule>
