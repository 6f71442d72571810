import type { Client, Filter } from 'ldapts'
import { ACCOUNT_ATTRIBUTES, accountFaultIn } from './active-directory.ts'
import type { AccountFault } from './active-directory.ts'
import { firstOf, search, valuesOf } from './entry.ts'
import type { Entry } from './entry.ts'
import { RESULT, failureOf, resultCodeOf } from './failure.ts'
import { all, any, contains, equals, parsedFilter } from './filters.ts'
import type { LdapSettings } from './settings.ts'

export type LdapPerson = {
  readonly dn: string
  /**
   * The one name of that entry, however its owner typed it: what the attribute `uid` of the settings holds, the first in order where it
   * holds several.
   */
  readonly name: string
  readonly email?: string
  readonly realName?: string
}

export type RefusalReason =
  AccountFault | 'no name' | 'no password' | 'unknown name' | 'several entries' | 'wrong password' | 'not permitted'

/** For the trail alone: who asks is told the same whatever the reason. */
export type LdapRefused = { readonly status: 'refused'; readonly reason: RefusalReason }

/** An entry, beside which a refusal cannot be mistaken for one. */
export type Found = { readonly status: 'found'; readonly entry: Entry }

export const refused = (reason: RefusalReason): LdapRefused => ({ status: 'refused', reason })

/** The entry that logs in under this name: in Active Directory, one with an `@` may be the user principal name too. */
export async function findByName(
  client: Client,
  settings: LdapSettings,
  name: string,
  activeDirectory: boolean,
): Promise<Found | LdapRefused> {
  const isPrincipal = activeDirectory && name.includes('@')
  return findOne(
    client,
    settings,
    any([equals(settings.uid, name), ...(isPrincipal ? [equals('userPrincipalName', name)] : [])]),
    activeDirectory,
  )
}

/** The one entry among those that may log in. Where two match, it cannot be known whose password would be tried. */
export async function findOne(
  client: Client,
  settings: LdapSettings,
  which: Filter,
  activeDirectory: boolean,
): Promise<Found | LdapRefused> {
  const attributes = [
    ...personAttributes(settings),
    settings.groupMembershipAttribute,
    ...(activeDirectory ? ACCOUNT_ATTRIBUTES : []),
  ].filter((name) => name !== '')
  const entries = await searchForEntries(client, settings, which, attributes, 2)
  const [entry] = entries
  if (entries.length > 1) return refused('several entries')
  return entry === undefined || personOf(settings, entry) === undefined ? refused('unknown name') : { status: 'found', entry }
}

/** Whoever has `text` in the name, the mail address or the real name; anybody for an empty one. No more than `limit`. */
export async function findPeople(client: Client, settings: LdapSettings, text: string, limit: number): Promise<readonly LdapPerson[]> {
  const which = any([settings.uid, 'mail', 'displayName', 'cn'].map((attribute) => contains(attribute, text)))
  const entries = await searchForEntries(client, settings, which, personAttributes(settings), limit)
  return entries.map((entry) => personOf(settings, entry)).filter((person) => person !== undefined)
}

const personAttributes = ({ uid }: LdapSettings): readonly string[] => [uid, 'mail', 'displayName', 'cn']

async function searchForEntries(
  client: Client,
  settings: LdapSettings,
  which: Filter,
  attributes: readonly string[],
  sizeLimit: number,
): Promise<readonly Entry[]> {
  return search(
    client,
    settings.baseDn,
    {
      scope: settings.scope,
      filter: all(parsedFilter(settings.filter, 'filter not valid'), which),
      attributes: [...attributes],
      explicitBufferAttributes: ['objectSid'],
      sizeLimit,
    },
    'base DN unknown',
  )
}

/** Undefined where the entry has no name to log in by. */
export function personOf(settings: LdapSettings, entry: Entry): LdapPerson | undefined {
  const [name] = [...valuesOf(entry, settings.uid)].sort()
  const email = firstOf(entry, 'mail')
  const realName = firstOf(entry, 'displayName') ?? firstOf(entry, 'cn')
  if (name === undefined) return undefined
  return { dn: entry.dn, name, ...(email === undefined ? {} : { email }), ...(realName === undefined ? {} : { realName }) }
}

/** Tries the password; undefined where it is right. The connection is that user's then, or nobody's. The password is not empty. */
export async function tryPassword(client: Client, dn: string, password: string): Promise<LdapRefused | undefined> {
  try {
    await client.bind(dn, password)
    return undefined
  } catch (error) {
    const code = resultCodeOf(error)
    if (code === RESULT.invalidCredentials) return refused(accountFaultIn(String(error)) ?? 'wrong password')
    if (code !== undefined && NOT_PERMITTED.includes(code)) return refused('not permitted')
    throw failureOf(error, 'search refused')
  }
}

/**
 * How servers refuse an account for another reason than its password: 389 Directory Server a disabled one by unwillingToPerform, for
 * example.
 */
const NOT_PERMITTED: readonly number[] = [
  RESULT.constraintViolation,
  RESULT.noSuchObject,
  RESULT.invalidDnSyntax,
  RESULT.inappropriateAuthentication,
  RESULT.insufficientAccessRights,
  RESULT.unwillingToPerform,
]
