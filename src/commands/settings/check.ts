import { parsePattern } from '../../ports/pattern.ts'
import { SETTINGS, isSecret } from './known.ts'
import type { SettingName } from './known.ts'

type Rule = (value: string | number | boolean) => string | undefined

/** What a value must be beside its default's type; a fault in words, or nothing. */
const RULES: { readonly [Name in SettingName]?: Rule } = {
  auth_mode: oneOf('db_auth', 'ldap_auth', 'oidc_auth'),
  project_creation_restriction: oneOf('everyone', 'adminonly'),
  token_expiration: between(1, 24 * 60),
  session_timeout: between(1, 30 * 24 * 60),
  robot_token_duration: (value) => (value === -1 ? undefined : between(1, 36_500)(value)),
  // A name with a colon cannot log in by HTTP Basic; `+` stands between a project's name and its robot's; `/` would be a path.
  robot_name_prefix: matching(/^[^\s:+/\p{Cc}]{1,64}$/u, 'must be 1 to 64 characters without spaces, colons, + and /'),

  ldap_url: urlOf('ldap:', 'ldaps:'),
  ldap_scope: oneOf(0, 1, 2),
  ldap_group_search_scope: oneOf(0, 1, 2),
  ldap_timeout: between(1, 60),

  oidc_endpoint: urlOf('https:'),
  oidc_scope: (value) => (String(value).split(',').includes('openid') ? undefined : 'must have openid among its scopes, which are separated by commas'),
  oidc_group_filter: (value) => (parsePattern(String(value)) === undefined ? 'is no regular expression' : undefined),
  oidc_extra_redirect_parms: (value) => (isTexts(String(value)) ? undefined : 'must be a JSON object whose values are texts'),
}

/** What is wrong with a value for a setting, or nothing. */
export function faultOfSetting(name: SettingName, value: unknown): string | undefined {
  const type = isSecret(name) ? 'string' : typeof SETTINGS[name]
  if (typeof value !== type || (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')) return `must be a ${type}`
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return 'must be a whole number'
  if (typeof value === 'string' && value.length > MAX_LENGTH) return `must be at most ${MAX_LENGTH} characters long`
  return RULES[name]?.(value)
}

const MAX_LENGTH = 10_000

function oneOf(...allowed: readonly (string | number)[]): Rule {
  return (value) => (typeof value !== 'boolean' && allowed.includes(value) ? undefined : `must be one of ${allowed.join(', ')}`)
}

function between(min: number, max: number): Rule {
  return (value) => (typeof value === 'number' && value >= min && value <= max ? undefined : `must be from ${min} to ${max}`)
}

function matching(pattern: RegExp, otherwise: string): Rule {
  return (value) => (pattern.test(String(value)) ? undefined : otherwise)
}

/** Empty: there is none. */
function urlOf(...protocols: readonly string[]): Rule {
  return (value) => {
    if (value === '') return undefined
    const url = URL.parse(String(value))
    if (url === null || !protocols.includes(url.protocol) || url.hostname === '') return `must begin with ${protocols.map((each) => `${each}//`).join(' or ')} and name a host`
    return url.username === '' && url.password === '' ? undefined : 'must hold no name or password: everybody who reads settings would see them'
  }
}

function isTexts(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((each) => typeof each === 'string')
  } catch {
    return false
  }
}
