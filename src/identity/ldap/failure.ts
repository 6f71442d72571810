import { ResultCodeError } from 'ldapts'
import { isCertificateError } from '../../outbound/certificate-error.ts'

export type UnavailableReason =
  | 'URL not valid'
  | 'cannot connect'
  | 'certificate not trusted'
  | 'StartTLS refused'
  | 'encryption required'
  | 'search account refused'
  | 'base DN unknown'
  | 'group base DN unknown'
  | 'filter not valid'
  | 'group filter not valid'
  | 'groups nested too deep'
  | 'search refused'
  | 'timed out'
  | 'closed'

/**
 * The directory gave no answer that can be gone by. `detail` is a code (of the system, of TLS, of LDAP), never words of the server: those
 * may name people.
 */
export type LdapUnavailable = { readonly status: 'unavailable'; readonly reason: UnavailableReason; readonly detail?: string }

/** Carries why a directory is unavailable up to the call, which answers it as a value. */
export class DirectoryFailure extends Error {
  readonly unavailable: LdapUnavailable

  constructor(reason: UnavailableReason, detail?: string) {
    super(reason)
    this.unavailable = { status: 'unavailable', reason, ...(detail === undefined ? {} : { detail }) }
  }
}

/** RFC 4511, appendix A.1. */
export const RESULT = {
  strongerAuthRequired: 8,
  referral: 10,
  confidentialityRequired: 13,
  constraintViolation: 19,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  inappropriateAuthentication: 48,
  invalidCredentials: 49,
  insufficientAccessRights: 50,
  unwillingToPerform: 53,
} as const

/** What the directory answered instead of success; undefined where it did not answer. */
export const resultCodeOf = (error: unknown): number | undefined => (error instanceof ResultCodeError ? error.code : undefined)

/** What went wrong with an operation for which no more exact reason is known. */
export function failureOf(error: unknown, otherwise: UnavailableReason): DirectoryFailure {
  if (error instanceof DirectoryFailure) return error
  const code = resultCodeOf(error)
  if (code === undefined) return connectionFailure(error)
  const wantsTls = code === RESULT.strongerAuthRequired || code === RESULT.confidentialityRequired
  return new DirectoryFailure(wantsTls ? 'encryption required' : otherwise, `LDAP result ${code}`)
}

export function connectionFailure(error: unknown): DirectoryFailure {
  const code = typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return new DirectoryFailure(code !== undefined && isCertificateError(code) ? 'certificate not trusted' : 'cannot connect', code)
}
