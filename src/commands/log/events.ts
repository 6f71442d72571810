import { Type } from '@sinclair/typebox'
import { closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** The log's name, which its positions begin with: 8 of `[a-z0-9]`. Named again after an import, a restore or a failover. */
export const LogNamed = eventType('LogNamed', Type.Object({ log: Type.String({ pattern: '^[a-z0-9]{8}$' }) }, closed))

export type LogFact = FactOf<typeof LogNamed>
