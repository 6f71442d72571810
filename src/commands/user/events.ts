import { Type } from '@sinclair/typebox'
import { SealedText, Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** The name is sealed under the user's own key, the password's verifier under the key named `secrets`. */
export const UserCreated = eventType(
  'UserCreated',
  Type.Object(
    { user: Uuid, number: Type.Integer({ minimum: 1 }), name: SealedText, verifier: SealedText, administrator: Type.Boolean() },
    closed,
  ),
)

export type UserFact = FactOf<typeof UserCreated>
