import { parsePattern } from '../../ports/pattern.ts'
import type { OidcSettings } from './settings.ts'

/** Whom a provider vouches for. `issuer` and `subject` together are who it is; all else is what the provider says of them today. */
export type Person = {
  readonly issuer: string
  readonly subject: string
  /** What a new user would be called; not checked against what names may be. */
  readonly name?: string
  readonly email?: string
  readonly realName?: string
  readonly groups: readonly string[]
  readonly administrator: boolean
}

export type Claims = Readonly<Record<string, unknown>>

/** Of the claims of an ID token and what the provider's user-info endpoint added to them. */
export function personOf(identity: { readonly issuer: string; readonly subject: string }, claims: Claims, settings: OidcSettings): Person {
  const { groupsClaim, adminGroup, groupFilter, userClaim } = settings
  const groups = groupsClaim === '' ? [] : textsOf(claims[groupsClaim])
  const filter = parsePattern(groupFilter)
  const [name] = textsOf(claims[userClaim === '' ? 'name' : userClaim])
  const [email] = textsOf(claims['email'])
  const [realName] = textsOf(claims['name'])
  return {
    ...identity,
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
    ...(realName === undefined ? {} : { realName }),
    groups: groups.filter((group) => filter?.test(group) === true),
    administrator: adminGroup !== '' && groups.includes(adminGroup),
  }
}

/** A claim of one text, or of several: some providers send a list of one as the text alone. Empty ones say nothing. */
function textsOf(claim: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  return [...new Set(values.filter((value) => typeof value === 'string').filter((value) => value !== ''))]
}
