import { ExtensibleFilter } from 'ldapts'
import type { Client, Filter } from 'ldapts'
import { MATCHING_RULE_IN_CHAIN, primaryGroupSid } from './active-directory.ts'
import { dnKey } from './dn.ts'
import { allValuesOf, firstOf, search, valuesOf } from './entry.ts'
import type { Entry } from './entry.ts'
import { DirectoryFailure } from './failure.ts'
import { all, any, equals, isNamed, parsedFilter } from './filters.ts'
import type { LdapSettings } from './settings.ts'

/** `dn` as the directory spells it. */
export type LdapGroup = { readonly dn: string; readonly name: string }

export type Membership = {
  /** Each once. */
  readonly groups: readonly LdapGroup[]
  /** Whether the administrators' group is among them, or is named by the user's own entry. */
  readonly administrator: boolean
}

/** Deeper than anybody nests groups on purpose. */
const LEVELS = 32
/** The most clauses in one filter, a name in each: a server bounds the bytes of one request, slapd to 256 kB from nobody in particular. */
const CLAUSES = 1200

/**
 * The groups of a user, by one search whatever their number: for those that list the user, or that the user's entry names.
 *
 * Nested ones come with the same search from Active Directory, which follows members of members itself; the primary group, which lists
 * nobody, is found by a search before it. Elsewhere each level up is one search for whatever lists a group of the level below, until there
 * is none that is new. The chain goes through groups that the base, the scope and the filter find.
 */
export async function readMembership(client: Client, settings: LdapSettings, user: Entry, activeDirectory: boolean): Promise<Membership> {
  const named =
    settings.groupMembershipAttribute === '' ? [] : await allValuesOf(client, user, settings.groupMembershipAttribute, 'base DN unknown')
  const groups =
    settings.groupBaseDn === '' ? [] : await (activeDirectory ? groupsInActiveDirectory : groupsByLevel)(client, settings, user, named)
  const administrators = settings.groupAdminDn.trim() === '' ? undefined : dnKey(settings.groupAdminDn)
  const isAdministrators = (dn: string): boolean => administrators !== undefined && dnKey(dn) === administrators
  return { groups, administrator: groups.some(({ dn }) => isAdministrators(dn)) || named.some(isAdministrators) }
}

async function groupsInActiveDirectory(
  client: Client,
  settings: LdapSettings,
  user: Entry,
  named: readonly string[],
): Promise<readonly LdapGroup[]> {
  const found = new Map<string, LdapGroup>()
  const lists = (dn: string): Filter =>
    settings.nestedGroups ? new ExtensibleFilter({ matchType: 'member', rule: MATCHING_RULE_IN_CHAIN, value: dn }) : equals('member', dn)
  const sid = primaryGroupSid(user)
  const primary = sid === undefined ? [] : await findGroups(client, settings, [equals('objectSid', sid)], found)
  const listing = [user, ...(settings.nestedGroups ? primary : [])].map(({ dn }) => lists(dn))
  await findGroups(client, settings, [...listing, ...named.map((dn) => isNamed(dn, true))], found)
  return [...found.values()]
}

async function groupsByLevel(client: Client, settings: LdapSettings, user: Entry, named: readonly string[]): Promise<readonly LdapGroup[]> {
  const found = new Map<string, LdapGroup>()
  const names = valuesOf(user, settings.uid).map((name) => equals('memberUid', name))
  let level = await findGroups(client, settings, [...lists(user.dn), ...names, ...named.map((dn) => isNamed(dn, false))], found)
  for (let depth = 1; settings.nestedGroups && level.length > 0; depth += 1) {
    if (depth > LEVELS) throw new DirectoryFailure('groups nested too deep', `${LEVELS} levels`)
    level = await findGroups(
      client,
      settings,
      level.flatMap(({ dn }) => lists(dn)),
      found,
    )
  }
  return [...found.values()]
}

/** groupOfNames (RFC 4519) and groupOfUniqueNames; posixGroup (RFC 2307) lists users alone, by `memberUid`. */
const lists = (dn: string): readonly Filter[] => [equals('member', dn), equals('uniqueMember', dn)]

/** Adds the groups that any of `clauses` finds to `found`, and answers those that were not in it. */
async function findGroups(
  client: Client,
  settings: LdapSettings,
  clauses: readonly Filter[],
  found: Map<string, LdapGroup>,
): Promise<readonly LdapGroup[]> {
  const added: LdapGroup[] = []
  for (const part of partsOf(clauses)) {
    for (const group of await searchForGroups(client, settings, part)) {
      const key = dnKey(group.dn) ?? group.dn
      if (found.has(key)) continue
      found.set(key, group)
      added.push(group)
    }
  }
  return added
}

/** The groups that base, scope and filter of the settings find, and any of `clauses`. */
export async function searchForGroups(
  client: Client,
  settings: LdapSettings,
  clauses: readonly Filter[],
  sizeLimit?: number,
): Promise<readonly LdapGroup[]> {
  const entries = await search(
    client,
    settings.groupBaseDn,
    {
      scope: settings.groupScope,
      filter: all(parsedFilter(settings.groupFilter, 'group filter not valid'), any(clauses)),
      attributes: [settings.groupNameAttribute],
      ...(sizeLimit === undefined ? {} : { sizeLimit }),
    },
    'group base DN unknown',
  )
  return entries.map((entry) => ({ dn: entry.dn, name: firstOf(entry, settings.groupNameAttribute) ?? entry.dn }))
}

function partsOf<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / CLAUSES) }, (_, index) => items.slice(index * CLAUSES, (index + 1) * CLAUSES))
}
