import { createRemoteJWKSet, customFetch, decodeJwt, errors, jwtVerify } from 'jose'
import type { JWTPayload, JWTVerifyGetKey } from 'jose'
import type { Outbound } from '../../outbound/client.ts'
import { failureBehind, fetchThrough } from '../../outbound/fetch.ts'
import type { Fetch } from '../../outbound/fetch.ts'
import { refusal } from '../refusal.ts'
import type { Refusal } from '../refusal.ts'
import { remembering } from '../remembering.ts'
import { matches } from './rule.ts'
import type { WorkloadClaims, WorkloadRule } from './rule.ts'

/**
 * `malformed`: no token, or one without what it must have. `issuer`: no rule names it. `unavailable`: the issuer's keys are not to be had.
 * `rule`: all is right with the token, and no rule lets its subject in. The others: what it is wrong in.
 */
export type WorkloadReason =
  'malformed' | 'issuer' | 'unavailable' | 'algorithm' | 'signature' | 'expired' | 'not-yet-valid' | 'audience' | 'rule'
export type WorkloadRefusal = Refusal<WorkloadReason>

/** The rule is the first that the token meets. */
export type Workload<Rule extends WorkloadRule> = {
  readonly kind: 'workload'
  readonly rule: Rule
  readonly issuer: string
  readonly subject: string
  readonly claims: WorkloadClaims
  /** From when on the token lets nobody in any more. */
  readonly endsAt: Date
}

export type WorkloadVerifier = {
  /** Only an issuer that one of the rules names is ever called. */
  verify<Rule extends WorkloadRule>(token: string, rules: readonly Rule[]): Promise<Workload<Rule> | WorkloadRefusal>
}

export type WorkloadVerifierParts = {
  readonly outbound: Outbound
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

/** With a public key only: with a shared secret, whoever knows the published keys could sign. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** A Kubernetes token with all its claims has 1,500 characters, GitHub's 2,500. */
const MAX_TOKEN_LENGTH = 16_384
/** A token older than that is refused, however long it says it lives: who has a workload takes a new one. */
const MAX_AGE_SECONDS = 24 * 3_600
const CLOCK_TOLERANCE_SECONDS = 30

type Verified = { readonly kind: 'verified'; readonly subject: string; readonly claims: JWTPayload; readonly endsAt: Date }
type Keys = { readonly kind: 'keys'; readonly keys: JWTVerifyGetKey }

/**
 * Verifies ID tokens of jobs and service accounts (OpenID Connect Core 1.0, 3.1.3.7). An issuer's keys are kept for ten minutes; a key that
 * is not among them is asked for once more, at most every 30 s.
 */
export function createWorkloadVerifier({ outbound, now = () => performance.now() }: WorkloadVerifierParts): WorkloadVerifier {
  const fetch = fetchThrough(outbound, { maxBytes: 1_000_000, timeoutMs: 10_000 })
  const keysOf = remembering((issuer) => discover(fetch, issuer), now)

  async function verify<Rule extends WorkloadRule>(token: string, rules: readonly Rule[]): Promise<Workload<Rule> | WorkloadRefusal> {
    const issuer = issuerIn(token)
    if (issuer === undefined) return refusal('malformed', 'This is no ID token')
    const candidates = rules.filter((rule) => rule.issuer === issuer)
    if (candidates.length === 0) return refusal('issuer', 'No rule names the issuer of this token')
    const found = await keysOf(issuer)
    if (found.kind === 'refusal') return found

    const verified = await verifiedBy(found.keys, token, issuer)
    if (verified.kind === 'refusal') return verified
    const { subject, claims, endsAt } = verified
    const meant = candidates.filter((rule) => [claims.aud].flat().includes(rule.audience))
    if (meant.length === 0) return refusal('audience', 'This token is meant for another service')
    const rule = meant.find((each) => matches(each, claims))
    return rule === undefined ? refusal('rule', 'No rule lets this workload in') : { kind: 'workload', rule, issuer, subject, claims, endsAt }
  }

  return { verify }
}

function issuerIn(token: string): string | undefined {
  if (token.length > MAX_TOKEN_LENGTH) return undefined
  try {
    const { iss } = decodeJwt(token)
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

async function verifiedBy(keys: JWTVerifyGetKey, token: string, issuer: string): Promise<Verified | WorkloadRefusal> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      algorithms: ALGORITHMS,
      requiredClaims: ['sub', 'aud', 'exp', 'iat'],
      maxTokenAge: MAX_AGE_SECONDS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    })
    const { sub, exp, iat } = payload
    return typeof sub === 'string' && sub !== '' && exp !== undefined && iat !== undefined
      ? { kind: 'verified', subject: sub, claims: payload, endsAt: new Date(Math.min(exp, iat + MAX_AGE_SECONDS) * 1_000) }
      : refusal('malformed', 'This token has no subject')
  } catch (error) {
    return refusalOf(error)
  }
}

async function discover(fetch: Fetch, issuer: string): Promise<Keys | WorkloadRefusal> {
  try {
    const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
      headers: { Accept: 'application/json' },
    })
    if (response.status !== 200) return refusal('unavailable', `The issuer answers with status ${response.status}`)
    const document: unknown = await response.json()
    const [named, jwks] = [textIn(document, 'issuer'), URL.parse(textIn(document, 'jwks_uri') ?? '')]
    if (named !== issuer) return refusal('unavailable', 'The issuer goes by another name than the rule has for it')
    if (jwks?.protocol !== 'https:') return refusal('unavailable', 'The issuer publishes no keys over https')
    return { kind: 'keys', keys: createRemoteJWKSet(jwks, { [customFetch]: fetch, timeoutDuration: 10_000 }) }
  } catch (error) {
    return refusal('unavailable', failureBehind(error)?.message ?? 'The issuer gave an answer that is none')
  }
}

function textIn(document: unknown, name: 'issuer' | 'jwks_uri'): string | undefined {
  const value: unknown =
    typeof document === 'object' && document !== null ? Object.entries(document).find(([key]) => key === name)?.[1] : undefined
  return typeof value === 'string' ? value : undefined
}

/** Of what `jose` throws at a token or at the issuer's keys. */
function refusalOf(error: unknown): WorkloadRefusal {
  if (error instanceof errors.JWTExpired) return refusal('expired', 'This token has expired, or is older than a day')
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.reason === 'check_failed' && (error.claim === 'nbf' || error.claim === 'iat')
      ? refusal('not-yet-valid', 'This token is of the future: compare the clocks')
      : refusal('malformed', `This token has no usable ${error.claim}`)
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refusal('algorithm', 'This token is not signed with a key pair')
  if (error instanceof errors.JWSSignatureVerificationFailed) return refusal('signature', 'This token is not signed by its issuer')
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return refusal('signature', 'This token names no key of its issuer')
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return refusal('malformed', 'This is no ID token')
  return refusal('unavailable', failureBehind(error)?.message ?? 'The issuer’s keys are not to be had')
}
