import { SETTINGS, isSecret } from '../commands/settings/known.ts'
import type { SettingName, SettingValues } from '../commands/settings/known.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { IdentityReader, Settings } from '../projections/identity-reader.ts'

export type SettingsReader = () => Promise<SettingValues>

/** All settings as they are at this moment, secrets opened. What was opened is kept for as long as nothing changes. */
export function createSettings(identity: Pick<IdentityReader, 'settings'>, sealer: Sealer): SettingsReader {
  let of: Settings | undefined
  let values: SettingValues | undefined

  return async () => {
    const stored = await identity.settings()
    if (values !== undefined && of === stored) return values
    const read = await Promise.all(
      Object.keys(SETTINGS).map(async (name) => [name, await valueOf(name as SettingName, stored, sealer)] as const),
    )
    // Each name has a value of its own kind: what was written was checked.
    values = Object.fromEntries(read) as SettingValues
    of = stored
    return values
  }
}

async function valueOf(name: SettingName, stored: Settings, sealer: Sealer): Promise<unknown> {
  const found = stored.get(name)
  if (isSecret(name)) return found !== undefined && 'sealed' in found ? sealer.open(found.sealed) : undefined
  return found !== undefined && 'value' in found ? found.value : SETTINGS[name]
}
