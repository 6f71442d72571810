/** The settings that there are, under Harbor's names, and what each is where nobody set it. A secret is kept sealed and never shown. */
export const SETTINGS = {
  auth_mode: 'db_auth',
  primary_auth_mode: false,
  self_registration: false,
  project_creation_restriction: 'everyone',
  /** Minutes. */
  token_expiration: 5,
  /** Minutes. */
  session_timeout: 60,
  /** Days; -1: without end. */
  robot_token_duration: 30,
  robot_name_prefix: 'robot$',

  ldap_url: '',
  ldap_start_tls: false,
  ldap_verify_cert: true,
  ldap_ca: '',
  ldap_search_dn: '',
  ldap_search_password: { secret: true },
  ldap_base_dn: '',
  ldap_filter: '',
  ldap_uid: 'cn',
  /** 0: base, 1: one level, 2: subtree. */
  ldap_scope: 2,
  /** Seconds. */
  ldap_timeout: 5,
  ldap_group_base_dn: '',
  ldap_group_search_filter: '',
  ldap_group_attribute_name: 'cn',
  ldap_group_search_scope: 2,
  ldap_group_admin_dn: '',
  ldap_group_membership_attribute: 'memberof',
  ldap_nested_groups: true,

  oidc_name: '',
  oidc_endpoint: '',
  oidc_client_id: '',
  oidc_client_secret: { secret: true },
  oidc_scope: 'openid,profile,email',
  oidc_groups_claim: '',
  oidc_admin_group: '',
  oidc_group_filter: '',
  oidc_user_claim: '',
  oidc_verify_cert: true,
  oidc_auto_onboard: false,
  oidc_extra_redirect_parms: '{}',
  oidc_logout: false,
} as const satisfies Readonly<Record<string, string | number | boolean | Secret>>

export type Secret = { readonly secret: true }

/** A setting's name. */
export type SettingName = keyof typeof SETTINGS

type Widened<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : string | undefined

/** What all settings are; a secret is undefined where it was not set. */
export type SettingValues = { readonly [Name in SettingName]: Widened<(typeof SETTINGS)[Name]> }

export function isSettingName(text: string): text is SettingName {
  return Object.hasOwn(SETTINGS, text)
}

export function isSecret(name: SettingName): boolean {
  return typeof SETTINGS[name] === 'object'
}
