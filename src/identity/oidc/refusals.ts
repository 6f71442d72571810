import { AuthorizationResponseError, ClientError, ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client'
import { failureBehind } from '../../outbound/fetch.ts'
import { refusal } from '../refusal.ts'
import type { Refusal } from '../refusal.ts'

/**
 * `unavailable`: the provider gave no answer. `answer`: it gave one that is none. `declined`: it sent the person back without a login.
 * `state`: this login was not begun by this browser. `code`: what the provider gave is used up, too old, or another's. The others: what the
 * ID token is wrong in.
 */
export type OidcReason =
  'unavailable' | 'answer' | 'declined' | 'state' | 'code' | 'issuer' | 'audience' | 'nonce' | 'expired' | 'signature' | 'token'
export type OidcRefusal = Refusal<OidcReason>

const OF_CLAIMS: Readonly<Record<string, OidcReason>> = { iss: 'issuer', aud: 'audience', azp: 'audience', nonce: 'nonce' }

const NO_ANSWER = refusal('answer', 'The provider gave an answer that is none')

/** Of what the library throws. Its errors hold tokens and secrets, so nothing of them but OAuth's own error codes is passed on. */
export function refusalOf(error: unknown): OidcRefusal {
  const failure = failureBehind(error)
  if (failure !== undefined) return refusal('unavailable', failure.message)
  if (error instanceof AuthorizationResponseError) return refusal('declined', `The provider did not let you in${codeIn(error.error)}`)
  if (error instanceof ResponseBodyError) {
    return error.error === 'invalid_grant'
      ? refusal('code', 'The provider no longer honours this login: begin it again')
      : refusal('answer', `The provider refuses to answer${codeIn(error.error)}`)
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    return refusal('answer', `The provider refuses to answer${codeIn(error.cause[0]?.parameters.error ?? '')}`)
  }
  if (!(error instanceof ClientError)) return NO_ANSWER
  const { code = '', cause } = error
  if (code === 'OAUTH_RESPONSE_IS_NOT_CONFORM' && cause instanceof Response && cause.status >= 500) {
    return refusal('unavailable', `The provider answers with status ${cause.status}`)
  }
  if (code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED')
    return refusal('expired', 'What the provider says is too old, or not yet true: compare the clocks')
  if (code === 'OAUTH_JWT_CLAIM_COMPARISON_FAILED') {
    return refusal(OF_CLAIMS[detail(error, 'claim')] ?? 'token', 'What the provider says was not said of this login')
  }
  if (code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED') {
    return detail(error, 'attribute') === 'issuer'
      ? refusal('issuer', 'The provider goes by another name than its endpoint: they must be the same')
      : refusal('token', 'The provider speaks of two different people')
  }
  if (code === 'OAUTH_KEY_SELECTION_FAILED')
    return refusal('signature', 'What the provider says is signed with a key that is not among its own')
  if (cause instanceof Error && cause.message.includes('signature'))
    return refusal('signature', 'What the provider says is not signed by it')
  return NO_ANSWER
}

/** An error code of OAuth; what else stands in its place may be anybody's text. */
function codeIn(text: string): string {
  return /^[a-z_]{1,60}$/.test(text) ? ` (${text})` : ''
}

/** Of what an error was thrown for: the library wraps some of them once more. */
function detail(error: Error, name: 'claim' | 'attribute'): string {
  const { cause } = error
  if (cause instanceof Error) return detail(cause, name)
  return typeof cause === 'object' && cause !== null && name in cause
    ? String(Object.entries(cause).find(([key]) => key === name)?.[1])
    : ''
}
