import { formatScopes } from './scope.ts'
import type { Access } from './scope.ts'

export type Challenge = {
  readonly realm: string
  readonly service: string
  readonly needed: readonly Access[]
  /** RFC 6750 §3.1: why the token that came is not enough; none where none came. */
  readonly error?: 'insufficient_scope' | 'invalid_token'
}

/** The value of WWW-Authenticate that tells a client where to fetch a token, and for what (distribution, spec/auth/token). */
export function bearerChallenge({ realm, service, needed, error }: Challenge): string {
  const parameters = [
    `realm=${quoted(realm)}`,
    `service=${quoted(service)}`,
    ...(needed.length > 0 ? [`scope=${quoted(formatScopes(needed))}`] : []),
    ...(error === undefined ? [] : [`error=${quoted(error)}`]),
  ]
  return `Bearer ${parameters.join(',')}`
}

/** RFC 9110 §5.6.4. What a header cannot hold is left out. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`
}
