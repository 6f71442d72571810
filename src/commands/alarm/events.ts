import { Type } from '@sinclair/typebox'
import { closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** Somebody changed what the log keeps, past Varve: `stream` is the one concerned, as the server names it, and `detail` what was found. */
export const TamperingFound = eventType(
  'TamperingFound',
  Type.Object({ tampering: Type.String({ maxLength: 64 }), stream: Type.String({ maxLength: 500 }), detail: Type.String({ maxLength: 5_000 }) }, closed),
)

/** Stands in the stream `alarms`. */
export type AlarmFact = FactOf<typeof TamperingFound>
