import { describe, expect, it } from '@jest/globals'
import { decide, evolve } from '../../../src/commands/settings/aggregate.ts'
import type { SettingsState } from '../../../src/commands/settings/aggregate.ts'
import { faultOfSetting } from '../../../src/commands/settings/check.ts'
import { SETTINGS, isSecret, isSettingName } from '../../../src/commands/settings/known.ts'
import { SettingChanged } from '../../../src/commands/settings/events.ts'
import type { SettingsFact } from '../../../src/commands/settings/events.ts'
import type { Sealed } from '../../../src/ports/key-store.ts'
import type { Event } from '../../../src/ports/event.ts'

const none: SettingsState = { revision: 0, values: new Map(), secrets: new Set() }
const sealed = 'c2VhbGVk' as Sealed

function after(...facts: readonly SettingsFact[]): SettingsState {
  return facts.reduce((state, fact) => evolve(state, fact as Event<SettingsFact>), none)
}

describe('settings', () => {
  it('are changed by events that say before and after, all at once', () => {
    const changes = [{ name: 'session_timeout', value: 30 }, { name: 'ldap_uid', value: 'uid' }] as const
    expect(decide(none, { type: 'ChangeSettings', changes })).toEqual([
      SettingChanged({ name: 'session_timeout', from: null, to: 30 }),
      SettingChanged({ name: 'ldap_uid', from: null, to: 'uid' }),
    ])
    const changed = after(SettingChanged({ name: 'session_timeout', from: null, to: 30 }))
    expect(changed.revision).toBe(1)
    expect(decide(changed, { type: 'ChangeSettings', changes: [{ name: 'session_timeout', value: 60 }] })).toEqual([SettingChanged({ name: 'session_timeout', from: 30, to: 60 })])
  })

  it('that stand already, as given or by default, are no events', () => {
    expect(decide(none, { type: 'ChangeSettings', changes: [{ name: 'session_timeout', value: 60 }] })).toEqual([])
    const changed = after(SettingChanged({ name: 'session_timeout', from: null, to: 30 }))
    expect(decide(changed, { type: 'ChangeSettings', changes: [{ name: 'session_timeout', value: 30 }] })).toEqual([])
  })

  it('that are secret are told of without what they are, and are taken away once', () => {
    expect(decide(none, { type: 'ChangeSettings', changes: [{ name: 'oidc_client_secret', sealed }] })).toEqual([SettingChanged({ name: 'oidc_client_secret', secret: true, sealed })])
    expect(decide(none, { type: 'ChangeSettings', changes: [{ name: 'oidc_client_secret', sealed: null }] })).toEqual([])
    const set = after(SettingChanged({ name: 'oidc_client_secret', secret: true, sealed }))
    const away = SettingChanged({ name: 'oidc_client_secret', secret: true, sealed: null })
    expect(decide(set, { type: 'ChangeSettings', changes: [{ name: 'oidc_client_secret', sealed: null }] })).toEqual([away])
    expect(evolve(set, away as Event<SettingsFact>).secrets).toEqual(new Set())
  })

  it('have defaults that are values which they may have', () => {
    const names = Object.keys(SETTINGS).filter(isSettingName)
    expect(names.length).toBeGreaterThan(30)
    for (const name of names) expect([name, faultOfSetting(name, isSecret(name) ? '' : SETTINGS[name])]).toEqual([name, undefined])
  })
})
