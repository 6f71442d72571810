import { Type } from '@sinclair/typebox'
import { Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** The registry's random id, which `origin` names. */
export const RegistryCreated = eventType('RegistryCreated', Type.Object({ registry: Uuid }, closed))

export type SettingsFact = FactOf<typeof RegistryCreated>
