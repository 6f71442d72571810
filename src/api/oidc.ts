import type { SettingValues } from '../commands/settings/known.ts'
import { createRelyingParty } from '../identity/oidc/relying-party.ts'
import type { RelyingParty } from '../identity/oidc/relying-party.ts'
import { problemOf } from '../identity/oidc/settings.ts'
import type { OidcSettings } from '../identity/oidc/settings.ts'
import type { Outbound } from '../outbound/client.ts'
import type { SettingsReader } from './settings.ts'

/** The provider that people sign on at; undefined where there is none, or its settings are not whole. */
export type SignOn = () => Promise<{ readonly party: RelyingParty; readonly settings: OidcSettings } | undefined>

const CALLBACK = '/c/oidc/callback'

/** What the provider says of itself is remembered for as long as no setting changes. */
export function createSignOn(options: { readonly settings: SettingsReader; readonly outbound: Outbound; readonly publicUrl: () => string }): SignOn {
  const { settings, outbound, publicUrl } = options
  let of: SettingValues | undefined
  let found: Awaited<ReturnType<SignOn>>

  return async () => {
    const current = await settings()
    if (current !== of) {
      const its = oidcSettings(current)
      const whole = current.auth_mode === 'oidc_auth' && problemOf(its) === undefined
      found = whole ? { settings: its, party: createRelyingParty({ outbound, settings: its, redirectUri: `${publicUrl()}${CALLBACK}` }) } : undefined
      of = current
    }
    return found
  }
}

/** Harbor's settings as the login takes them. */
export function oidcSettings(values: SettingValues): OidcSettings {
  return {
    name: values.oidc_name,
    endpoint: values.oidc_endpoint,
    clientId: values.oidc_client_id,
    clientSecret: values.oidc_client_secret ?? '',
    scope: values.oidc_scope.split(',').map((scope) => scope.trim()).filter((scope) => scope !== ''),
    groupsClaim: values.oidc_groups_claim,
    adminGroup: values.oidc_admin_group,
    groupFilter: values.oidc_group_filter,
    userClaim: values.oidc_user_claim,
    verifyCertificate: values.oidc_verify_cert,
    autoOnboard: values.oidc_auto_onboard,
    // What is set was checked to be texts.
    extraRedirectParameters: JSON.parse(values.oidc_extra_redirect_parms) as Record<string, string>,
  }
}
