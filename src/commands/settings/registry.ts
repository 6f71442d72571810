import type { Event } from '../../ports/event.ts'
import { streams } from '../../ports/streams.ts'
import type { Aggregate } from '../handle.ts'
import { RegistryCreated, RoleMatrixAdopted } from './events.ts'
import type { SettingsFact } from './events.ts'

/** What each start makes sure of: that the registry has an id, this one where it has none yet, and which table of roles answers rest on. */
export type FoundRegistry = { readonly registry: string; readonly roles: number }

type RegistryState = {
  readonly revision: number
  readonly registry: string | undefined
  /** The version that the log's last word is. */
  readonly roles: number | undefined
}

/** What the registry is beside its settings. Settings are changed seldom, so the whole stream is folded. */
export const registryAggregate: Aggregate<RegistryState, FoundRegistry, SettingsFact> = {
  stream: streams.settings,
  load: () => Promise.resolve({ revision: -1, registry: undefined, roles: undefined }),
  evolve,
  decide: (state, { registry, roles }) => [
    ...(state.registry === undefined ? [RegistryCreated({ registry })] : []),
    ...(state.roles === roles ? [] : [RoleMatrixAdopted({ version: roles })]),
  ],
}

function evolve(state: RegistryState, event: Event<SettingsFact>): RegistryState {
  const next = { ...state, revision: state.revision + 1 }
  switch (event.type) {
    case 'RegistryCreated':
      return { ...next, registry: event.data.registry }
    case 'RoleMatrixAdopted':
      return { ...next, roles: event.data.version }
    case 'SettingChanged':
      return next
  }
}
