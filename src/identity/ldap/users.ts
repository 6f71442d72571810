import type { Client, Filter } from 'ldapts'
import { folded } from '../../ports/same-name.ts'
import { ACCOUNT_ATTRIBUTES, accountFaultIn } from './active-directory.ts'
import type { AccountFault } from './active-directory.ts'
import { firstOf, search, valuesOf } from './entry.ts'
import type { Entry } from './entry.ts'
import { RESULT, failureOf, resultCodeOf } from './failure.ts'
import { all, any, contains, equals, parsedFilter } from './filters.ts'
import type { LdapSettings } from './settings.ts'

export type LdapPerson = {
  readonly dn: string
  /** As the attribute `uid` of the settings holds it, however its owner typed it; of several, the one that was asked for. */
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
    name,
    activeDirectory,
  )
}

/** The one entry among those that may log in under this name. Where two match, it cannot be known whose password would be tried. */
export async function findOne(
  client: Client,
  settings: LdapSettings,
  which: Filter,
  name: string,
  activeDirectory: boolean,
): Promise<Found | LdapRefused> {
  const attributes = [
    ...personAttributes(settings),
    settings.groupMembershipAttribute,
    ...(activeDirectory ? ACCOUNT_ATTRIBUTES : []),
  ].filter((attribute) => attribute !== '')
  const entries = await searchForEntries(client, settings, which, attributes, 2)
  const [entry] = entries
  if (entries.length > 1) return refused('several entries')
  return entry === undefined || personOf(settings, entry, name) === undefined ? refused('unknown name') : { status: 'found', entry }
}

/** Whoever has `text` in the name, the mail address or the real name; anybody for an empty one. No more than `limit`. */
export async function findPeople(client: Client, settings: LdapSettings, text: string, limit: number): Promise<readonly LdapPerson[]> {
  const which = any([settings.uid, 'mail', 'displayName', 'cn'].map((attribute) => contains(attribute, text)))
  const entries = await searchForEntries(client, settings, which, personAttributes(settings), limit)
  return entries
    .map((entry) => personOf(settings, entry, text) ?? called(entry, [...valuesOf(entry, settings.uid)].sort()[0]))
    .filter((person) => person !== undefined)
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

/**
 * Who an entry is to somebody who asks for this name: its value that is the name, or its only one, by which the directory may know other
 * spellings. Undefined where it has neither: one of several names of an entry may be somebody else's.
 */
export function personOf(settings: LdapSettings, entry: Entry, asked: string): LdapPerson | undefined {
  const names = valuesOf(entry, settings.uid)
  return called(entry, names.find((name) => folded(name) === folded(asked)) ?? (names.length === 1 ? names[0] : undefined))
}

function called(entry: Entry, name: string | undefined): LdapPerson | undefined {
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
