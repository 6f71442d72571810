import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { SealedText, Uuid, closed, eventType } from '../../ports/event.ts'
import type { FactOf } from '../../ports/event.ts'

/** The registry's random id, which `origin` names. */
export const RegistryCreated = eventType('RegistryCreated', Type.Object({ registry: Uuid }, closed))

const Value = Type.Union([Type.String({ maxLength: 20_000 }), Type.Number(), Type.Boolean(), Type.Null()])

/** A setting was changed; null is its default. What is a secret stands sealed under the key named `secrets`. */
export const SettingChanged = eventType(
  'SettingChanged',
  Type.Union([
    Type.Object({ name: Type.String({ pattern: '^[a-z0-9_]{1,64}$' }), from: Value, to: Value }, closed),
    Type.Object({ name: Type.String({ pattern: '^[a-z0-9_]{1,64}$' }), secret: Type.Literal(true), sealed: Type.Union([SealedText, Type.Null()]) }, closed),
  ]),
)

/**
 * From here on, rights are those of this version of the table of roles (`../access/roles.ts`): written by the first start of a release
 * whose table is another one.
 */
export const RoleMatrixAdopted = eventType('RoleMatrixAdopted', Type.Object({ version: Type.Integer({ minimum: 1 }) }, closed))

export const settingsEvents = [RegistryCreated, SettingChanged, RoleMatrixAdopted] as const

export type SettingsFact = FactOf<(typeof settingsEvents)[number]>

export type SettingValue = Static<typeof Value>
