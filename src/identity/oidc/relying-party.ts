import {
  ClientSecretBasic,
  ClientSecretPost,
  None,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  buildEndSessionUrl,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client'
import type { ClientAuth, Configuration } from 'openid-client'
import type { Outbound } from '../../outbound/client.ts'
import { fetchThrough } from '../../outbound/fetch.ts'
import { refusal } from '../refusal.ts'
import { remembering } from '../remembering.ts'
import { personOf } from './person.ts'
import type { Person } from './person.ts'
import { refusalOf } from './refusals.ts'
import type { OidcRefusal } from './refusals.ts'
import type { OidcSettings } from './settings.ts'

/** What the browser that began a login keeps until it comes back: without it, an answer of the provider is worth nothing. */
export type LoginAttempt = { readonly state: string; readonly nonce: string; readonly codeVerifier: string }

export type RelyingParty = {
  /** Where to send the browser. */
  begin(): Promise<{ readonly kind: 'begun'; readonly url: string; readonly attempt: LoginAttempt } | OidcRefusal>
  /** `query`: with what the browser came back to the redirect URI. */
  finish(query: string, attempt: LoginAttempt): Promise<{ readonly kind: 'person'; readonly person: Person } | OidcRefusal>
  /**
   * Where to send the browser to end the session at the provider as well, which then sends it on to `returnTo`, an absolute URL; undefined
   * where there is no such place.
   */
  logoutUrl(returnTo: string): Promise<string | undefined>
}

export type RelyingPartyParts = {
  readonly outbound: Outbound
  readonly settings: OidcSettings
  /** Ours, from the registry's public URL: never from a request. */
  readonly redirectUri: string
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

type Provider = { readonly kind: 'provider'; readonly configuration: Configuration }

/** OpenID Connect Core 1.0, authorization code flow, with PKCE (RFC 7636, S256), state and nonce. */
export function createRelyingParty({ outbound, settings, redirectUri, now = () => performance.now() }: RelyingPartyParts): RelyingParty {
  const provider = remembering(() => discover(outbound, settings), now)

  async function begin(): ReturnType<RelyingParty['begin']> {
    const found = await provider(settings.endpoint)
    if (found.kind === 'refusal') return found
    const attempt = { state: randomState(), nonce: randomNonce(), codeVerifier: randomPKCECodeVerifier() }
    const url = buildAuthorizationUrl(found.configuration, {
      ...settings.extraRedirectParameters,
      redirect_uri: redirectUri,
      scope: [...new Set(['openid', ...settings.scope])].join(' '),
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await calculatePKCECodeChallenge(attempt.codeVerifier),
      code_challenge_method: 'S256',
    })
    return { kind: 'begun', url: url.href, attempt }
  }

  async function finish(query: string, attempt: LoginAttempt): ReturnType<RelyingParty['finish']> {
    const url = new URL(redirectUri)
    url.search = query
    // Asked first, so that somebody else's answer leads to no call.
    if (url.searchParams.getAll('state').join() !== attempt.state)
      return refusal('state', 'This login was not begun in this browser, or too long ago')
    const found = await provider(settings.endpoint)
    if (found.kind === 'refusal') return found
    try {
      return { kind: 'person', person: await personAt(found.configuration, url, attempt) }
    } catch (error) {
      return refusalOf(error)
    }
  }

  async function personAt(configuration: Configuration, url: URL, { state, nonce, codeVerifier }: LoginAttempt): Promise<Person> {
    const tokens = await authorizationCodeGrant(configuration, url, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: codeVerifier,
      idTokenExpected: true,
    })
    const claims = tokens.claims()
    if (claims === undefined) throw new Error('An ID token was wanted, and the library let an answer without one pass')
    // Groups often stand only there; where both speak, what was asked last counts.
    const more =
      configuration.serverMetadata().userinfo_endpoint === undefined
        ? {}
        : await fetchUserInfo(configuration, tokens.access_token, claims.sub)
    return personOf({ issuer: claims.iss, subject: claims.sub }, { ...claims, ...more }, settings)
  }

  async function logoutUrl(returnTo: string): Promise<string | undefined> {
    const found = await provider(settings.endpoint)
    if (found.kind === 'refusal' || found.configuration.serverMetadata().end_session_endpoint === undefined) return undefined
    return buildEndSessionUrl(found.configuration, { post_logout_redirect_uri: returnTo }).href
  }

  return { begin, finish, logoutUrl }
}

/** Whether a provider answers at an endpoint: nothing if it does. */
export async function pingProvider(
  outbound: Outbound,
  settings: Pick<OidcSettings, 'endpoint' | 'verifyCertificate'>,
): Promise<OidcRefusal | undefined> {
  const found = await discover(outbound, { ...settings, clientId: 'ping', clientSecret: '' })
  return found.kind === 'refusal' ? found : undefined
}

async function discover(
  outbound: Outbound,
  {
    endpoint,
    clientId,
    clientSecret,
    verifyCertificate,
  }: Pick<OidcSettings, 'endpoint' | 'clientId' | 'clientSecret' | 'verifyCertificate'>,
): Promise<Provider | OidcRefusal> {
  const fetch = fetchThrough(outbound, { maxBytes: 1_000_000, timeoutMs: 10_000, verifyCertificate })
  try {
    const configuration = await discovery(new URL(endpoint), clientId, {}, authenticationBy(clientSecret), {
      [customFetch]: fetch,
      execute: [enableNonRepudiationChecks],
    })
    return { kind: 'provider', configuration }
  } catch (error) {
    return refusalOf(error)
  }
}

/** By the header where the provider takes it, as OpenID Connect Discovery 1.0 says it does where it says nothing; else in the form. */
function authenticationBy(secret: string): ClientAuth {
  if (secret === '') return None()
  const [basic, post] = [ClientSecretBasic(secret), ClientSecretPost(secret)]
  return (server, client, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? []
    const authenticate = methods.includes('client_secret_post') && !methods.includes('client_secret_basic') ? post : basic
    authenticate(server, client, body, headers)
  }
}
