import type { DecisionRows } from '../../ports/decision-rows.ts'
import type { Event } from '../../ports/event.ts'
import type { Sealed } from '../../ports/key-store.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import type { Rejection } from '../rejection.ts'
import { SettingChanged } from './events.ts'
import type { SettingValue, SettingsFact } from './events.ts'
import { SETTINGS } from './known.ts'
import type { SettingName } from './known.ts'

/** A checked value, or a secret that was sealed; null: none any more. */
export type SettingChange = { readonly name: SettingName } & ({ readonly value: SettingValue } | { readonly sealed: Sealed | null })

export type SettingsCommand = { readonly type: 'ChangeSettings'; readonly changes: readonly SettingChange[] }

export type SettingsState = {
  readonly revision: number
  /** Of those that are not at their default. */
  readonly values: ReadonlyMap<string, SettingValue>
  /** The names of the secrets that are set. */
  readonly secrets: ReadonlySet<string>
}

/** All settings of the registry. */
export function settingsAggregate(rows: DecisionRows): Aggregate<SettingsState, SettingsCommand, SettingsFact, Rejection> {
  return {
    stream: streams.settings,
    async load() {
      const { revision, values, secrets } = await rows.settings()
      return { revision, values: new Map(values), secrets: new Set(secrets) }
    },
    evolve,
    decide,
  }
}

export function evolve(state: SettingsState, event: Event<SettingsFact>): SettingsState {
  const next = { ...state, revision: state.revision + 1 }
  if (event.type !== 'SettingChanged') return next
  const { data } = event
  if ('secret' in data) {
    const others = [...state.secrets].filter((name) => name !== data.name)
    return { ...next, secrets: new Set(data.sealed === null ? others : [...others, data.name]) }
  }
  return { ...next, values: new Map([...state.values, [data.name, data.to]]) }
}

/** All of them in one append, each an event; a value that stands already is none. */
export function decide(state: SettingsState, command: SettingsCommand): readonly SettingsFact[] {
  return command.changes.flatMap((change): SettingsFact[] => {
    const { name } = change
    if ('sealed' in change) {
      const nothing = change.sealed === null && !state.secrets.has(name)
      return nothing ? [] : [SettingChanged({ name, secret: true, sealed: change.sealed })]
    }
    const from = state.values.get(name) ?? null
    return (from ?? SETTINGS[name]) === (change.value ?? SETTINGS[name]) ? [] : [SettingChanged({ name, from, to: change.value })]
  })
}
