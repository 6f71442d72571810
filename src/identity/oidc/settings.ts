import { parsePattern } from '../../ports/pattern.ts'
import { isPlainHttpsUrl } from '../https-url.ts'

/** Where people sign on; the settings that Harbor calls `oidc_*`. An empty text stands for what is not set. */
export type OidcSettings = {
  /** What the provider is called on the login page. */
  readonly name: string
  /** The issuer's URL, below which `.well-known/openid-configuration` stands. */
  readonly endpoint: string
  readonly clientId: string
  /** Empty: a public client, which PKCE alone protects. */
  readonly clientSecret: string
  /** `openid` is asked for in any case. */
  readonly scope: readonly string[]
  readonly groupsClaim: string
  /** Whoever is in it is an administrator. */
  readonly adminGroup: string
  /** A regular expression: groups that it does not match are left out, though they may make an administrator. */
  readonly groupFilter: string
  /** The claim that names a new user; empty: `name`. */
  readonly userClaim: string
  readonly verifyCertificate: boolean
  /** A new user is created without being asked for a name. */
  readonly autoOnboard: boolean
  /** Sent along with whoever is sent to the provider. */
  readonly extraRedirectParameters: Readonly<Record<string, string>>
}

/** What a login itself sends; another value of it would undo what protects the login. */
const OWN_PARAMETERS = [
  'client_id',
  'code_challenge',
  'code_challenge_method',
  'nonce',
  'redirect_uri',
  'request',
  'request_uri',
  'response_mode',
  'response_type',
  'scope',
  'state',
]

/** What is wrong with settings, or nothing. */
export function problemOf(settings: OidcSettings): string | undefined {
  if (!isPlainHttpsUrl(settings.endpoint)) return 'The endpoint must be an https:// URL without user name, query or fragment'
  if (settings.clientId === '') return 'The client id is missing'
  if (parsePattern(settings.groupFilter) === undefined) return 'The group filter is no regular expression'
  const own = OWN_PARAMETERS.find((name) => Object.hasOwn(settings.extraRedirectParameters, name))
  return own === undefined ? undefined : `The parameter ${own} is set by each login itself`
}
