import { LRUCache } from 'lru-cache'
import { isAccountFault } from '../identity/ldap/active-directory.ts'
import { MAX_GROUP_DN, MAX_GROUP_NAME } from '../commands/group/events.ts'
import { folded } from '../ports/same-name.ts'
import { isSameDn } from '../identity/ldap/dn.ts'
import { createLdapDirectory } from '../identity/ldap/directory.ts'
import type { LdapDirectory, LdapUser } from '../identity/ldap/directory.ts'
import type { LdapUnavailable } from '../identity/ldap/failure.ts'
import type { LdapGroup } from '../identity/ldap/groups.ts'
import type { LdapScope, LdapSettings } from '../identity/ldap/settings.ts'
import type { SettingValues } from '../commands/settings/known.ts'
import type { UserRow } from '../projections/identity-queries.ts'
import type { IdentityReader } from '../projections/identity-reader.ts'
import type { OutsideLogin } from './login.ts'
import type { OutsideUser, createOutsideUsers } from './outside-user.ts'
import type { ServerLog } from './server-log.ts'
import type { SettingsReader } from './settings.ts'

/** How old what a directory said of somebody may be. */
const REREAD_MS = 300_000
const CONNECTIONS = 16

/**
 * Logs in at the directory of the settings, where `auth_mode` is `ldap_auth`, and reads those who logged in again every five minutes
 * that they are there: their groups, and whether they may still log in.
 */
export function createLdapLogin(options: {
  readonly settings: SettingsReader
  readonly identity: Pick<IdentityReader, 'userByName'>
  readonly users: Pick<ReturnType<typeof createOutsideUsers>, 'record'>
  readonly now: () => number
  readonly logger: Pick<ServerLog, 'warn'>
}) {
  const { settings, identity, users, now, logger } = options
  let of: SettingValues | undefined
  let open: LdapDirectory | undefined
  const readAt = new LRUCache<string, number>({ max: 100_000 })
  const reading = new Map<string, Promise<'there' | 'gone' | 'unavailable'>>()

  /** One for the settings as they are; those of before are left at once. */
  async function directory(): Promise<LdapDirectory | undefined> {
    const current = await settings()
    if (current !== of) {
      open?.close()
      open = current.auth_mode === 'ldap_auth' ? createLdapDirectory(ldapSettings(current)) : undefined
      of = current
    }
    return open
  }

  function unavailable(found: { readonly reason: string; readonly detail?: string }): 'unavailable' {
    logger.warn({ reason: found.reason, detail: found.detail }, 'the LDAP directory could not be asked')
    return 'unavailable'
  }

  async function readAgain(user: UserRow): Promise<'there' | 'gone' | 'unavailable'> {
    const found = await (await directory())?.groupsOf({ dn: user.external ?? '', name: user.name })
    if (found === undefined || found.status === 'refused') return 'gone'
    if (found.status === 'unavailable') return unavailable(found)
    // The DN of somebody who left may be given to another.
    if (folded(found.name) !== folded(user.name)) return 'gone'
    await users.record(outsideUser(found), user)
    readAt.set(user.id, now())
    return 'there'
  }

  return {
    directory,

    /** `nobody`: there is no directory. */
    async logIn(name: string, password: string): ReturnType<OutsideLogin> {
      const current = await directory()
      const found = await current?.authenticate(name, password)
      if (current === undefined || found === undefined) return 'nobody'
      if (found.status === 'refused') return isAccountFault(found.reason) ? found.reason : 'wrong'
      if (found.status === 'unavailable') return unavailable(found)
      const known = await identity.userByName(found.name)
      if (known !== undefined && known.source !== 'ldap') return 'wrong'
      const holder = await holderOf(current, known, found)
      if (holder === 'another') return 'wrong'
      if (holder !== 'this') return unavailable(holder)
      const user = await users.record(outsideUser(found), known)
      if (user === undefined) return 'wrong'
      readAt.set(user.id, now())
      return { kind: 'user', id: user.id, credential: user.credential }
    },

    /** Whether somebody who logged in here before still may; true at once where that is known. */
    stillThere(user: UserRow): true | Promise<'there' | 'gone' | 'unavailable'> {
      const at = readAt.get(user.id)
      if (at !== undefined && now() - at < REREAD_MS) return true
      const underWay = reading.get(user.id) ?? readAgain(user).finally(() => reading.delete(user.id))
      reading.set(user.id, underWay)
      return underWay
    },

    close(): void {
      open?.close()
    },
  }
}

/**
 * Whose a name is: of the entry that was found, or of another that the user was known by and that still logs in under it. Names that a
 * directory tells apart (by case, or of two domains) may be one here, and neither may come to be the other.
 */
export async function holderOf(directory: LdapDirectory, known: UserRow | undefined, { dn }: LdapUser): Promise<'this' | 'another' | LdapUnavailable> {
  if (known?.external === undefined || isSameDn(known.external, dn)) return 'this'
  const before = await directory.groupsOf({ dn: known.external, name: known.name })
  if (before.status === 'unavailable') return before
  return before.status === 'found' && folded(before.name) === folded(known.name) ? 'another' : 'this'
}

/** What is written down of somebody whom the directory shows. */
export function outsideUser({ dn, name, email, realName, groups, administrator }: LdapUser): OutsideUser {
  const person = { name, external: dn, ...(email === undefined ? {} : { email }), ...(realName === undefined ? {} : { realName }) }
  return { source: 'ldap', person, groups: groups.map(storableGroup).filter((group) => group !== undefined), administrator }
}

/** A group as an event holds it: of a long name its beginning; undefined where its DN is too long, so that no role can be given to it. */
export function storableGroup({ dn, name }: LdapGroup): LdapGroup | undefined {
  return dn.length > MAX_GROUP_DN ? undefined : { dn, name: name.slice(0, MAX_GROUP_NAME).toWellFormed() }
}

const SCOPES: readonly LdapScope[] = ['base', 'one', 'sub']

/** Harbor's settings as the directory takes them. */
export function ldapSettings(values: SettingValues): LdapSettings {
  return {
    url: values.ldap_url,
    startTls: values.ldap_start_tls,
    verifyCertificate: values.ldap_verify_cert,
    ...(values.ldap_ca === '' ? {} : { certificateAuthorities: values.ldap_ca }),
    searchDn: values.ldap_search_dn,
    searchPassword: values.ldap_search_password ?? '',
    baseDn: values.ldap_base_dn,
    filter: values.ldap_filter,
    uid: values.ldap_uid,
    scope: SCOPES[values.ldap_scope] ?? 'sub',
    groupBaseDn: values.ldap_group_base_dn,
    groupFilter: values.ldap_group_search_filter,
    groupNameAttribute: values.ldap_group_attribute_name,
    groupScope: SCOPES[values.ldap_group_search_scope] ?? 'sub',
    groupAdminDn: values.ldap_group_admin_dn,
    groupMembershipAttribute: values.ldap_group_membership_attribute,
    nestedGroups: values.ldap_nested_groups,
    timeoutMs: values.ldap_timeout * 1_000,
    connections: CONNECTIONS,
  }
}
