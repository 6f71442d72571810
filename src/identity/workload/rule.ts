import { hash } from 'node:crypto'
import { isPlainHttpsUrl } from '../https-url.ts'

/**
 * Which tokens of an issuer stand for a workload. `subject` and each of `claims` are texts to be met exactly, but for `*`, which stands for
 * any text, none included. A claim that is a list is met by one of its members; a number or a truth value by how JSON writes it.
 */
export type WorkloadRule = {
  /** Exactly as tokens name it in `iss`. */
  readonly issuer: string
  readonly audience: string
  readonly subject: string
  readonly claims: Readonly<Record<string, string>>
}

export type WorkloadClaims = Readonly<Record<string, unknown>>

/** What is wrong with a rule, or nothing. */
export function problemOf({ issuer, audience, subject, claims }: WorkloadRule): string | undefined {
  if (!isPlainHttpsUrl(issuer)) return 'The issuer must be an https:// URL without user name, query or fragment'
  if (audience === '') return 'The audience is missing: without it, a token made for any other service would do'
  // Issuers such as GitHub's speak for everybody's jobs.
  if ([subject, ...Object.values(claims)].every((pattern) => /^\**$/.test(pattern)))
    return 'The rule would let in whatever the issuer vouches for: name a subject or a claim'
  return undefined
}

/** Tells a rule from every other, in whatever order its claims stand. */
export function ruleKey({ issuer, audience, subject, claims }: WorkloadRule): string {
  const sorted = Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1))
  return hash('sha256', JSON.stringify([issuer, audience, subject, sorted]), 'base64url')
}

/** Whether verified claims are met by the subject and claims of a rule; its issuer and audience are the verifier's to compare. */
export function matches(rule: WorkloadRule, claims: WorkloadClaims): boolean {
  return Object.entries({ ...rule.claims, sub: rule.subject }).every(
    ([name, pattern]) => Object.hasOwn(claims, name) && textsOf(claims[name]).some((text) => matchesPattern(pattern, text)),
  )
}

function textsOf(claim: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  return values.flatMap((value) => (['string', 'number', 'boolean'].includes(typeof value) ? [String(value)] : []))
}

/** Each part between stars at its first place after the last one: no pattern takes longer than its text. */
export function matchesPattern(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return text === pattern
  if (!text.startsWith(first)) return false
  let position = first.length
  for (const part of rest) {
    const found = text.indexOf(part, position)
    if (found < 0) return false
    position = found + part.length
  }
  return text.length - last.length >= position && text.endsWith(last)
}
