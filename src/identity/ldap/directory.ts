import type { SearchOptions } from 'ldapts'
import { orAborted } from '../../ports/or-aborted.ts'
import { accountFault, ACTIVE_DIRECTORY } from './active-directory.ts'
import { bindSearchAccount, connect } from './connection.ts'
import type { Connection } from './connection.ts'
import { search, valuesOf } from './entry.ts'
import type { Entry } from './entry.ts'
import { DirectoryFailure, failureOf, RESULT, resultCodeOf } from './failure.ts'
import type { LdapUnavailable } from './failure.ts'
import { contains, isNamed, parsedFilter } from './filters.ts'
import { readMembership, searchForGroups } from './groups.ts'
import type { LdapGroup, Membership } from './groups.ts'
import type { LdapSettings } from './settings.ts'
import { createSlots } from './slots.ts'
import { findByName, findOne, findPeople, personOf, refused, tryPassword } from './users.ts'
import type { LdapPerson, LdapRefused } from './users.ts'

export type LdapUser = LdapPerson & Membership

export type LdapDirectory = {
  /** Searches the name, then binds with the password. */
  authenticate(name: string, password: string): Promise<({ readonly status: 'authenticated' } & LdapUser) | LdapRefused | LdapUnavailable>
  /** Reads a user again, by the DN and name that a login gave; refused where the user may log in no longer. The entry may have another name by now. */
  groupsOf(user: { readonly dn: string; readonly name: string }): Promise<({ readonly status: 'found' } & LdapUser) | LdapRefused | LdapUnavailable>
  /** People who may log in, by a part of the name, mail address or real name; the first hundred. */
  searchUsers(text: string): Promise<{ readonly status: 'found'; readonly users: readonly LdapPerson[] } | LdapUnavailable>
  /** Groups by a part of the name, the first hundred; or the one of a DN. */
  searchGroups(
    which: { readonly name: string } | { readonly dn: string },
  ): Promise<{ readonly status: 'found'; readonly groups: readonly LdapGroup[] } | LdapUnavailable>
  /** Whether these settings reach a directory, log in there and find both base DNs. */
  ping(): Promise<{ readonly status: 'reachable'; readonly activeDirectory: boolean } | LdapUnavailable>
  /** Ends every call under way, and any later one. */
  close(): void
}

/** The most that a search by text answers. */
const FOUND = 100

/** A directory as these settings describe it. Each call has a connection of its own, and no more are open at once than the settings say. */
export function createLdapDirectory(settings: LdapSettings): LdapDirectory {
  const slots = createSlots(settings.connections)
  const running = new Set<AbortController>()
  let closed = false
  /** Known after the first call that got through. */
  let activeDirectory: boolean | undefined

  /** Does `work` on a connection that is the search account's, within the time of a call. */
  async function call<T>(work: (connection: Connection, activeDirectory: boolean) => Promise<T>): Promise<T | LdapUnavailable> {
    if (closed) return new DirectoryFailure('closed').unavailable
    const controller = new AbortController()
    const { signal } = controller
    const timer = setTimeout(() => {
      controller.abort(new DirectoryFailure('timed out'))
    }, settings.timeoutMs)
    running.add(controller)
    try {
      await slots.take(signal)
      try {
        return await orAborted(connectAnd(work, signal), signal)
      } finally {
        slots.give()
      }
    } catch (error) {
      // Whatever failed because the time was over failed for that reason.
      const cause: unknown = signal.aborted ? signal.reason : error
      if (cause instanceof DirectoryFailure) return cause.unavailable
      throw cause
    } finally {
      clearTimeout(timer)
      running.delete(controller)
    }
  }

  async function connectAnd<T>(work: (connection: Connection, activeDirectory: boolean) => Promise<T>, signal: AbortSignal): Promise<T> {
    const connection = await connect(settings, signal)
    try {
      await bindSearchAccount(connection, settings)
      activeDirectory ??= await isActiveDirectory(connection)
      return await work(connection, activeDirectory)
    } finally {
      connection.end()
    }
  }

  async function userOf(connection: Connection, entry: Entry, name: string, isActive: boolean): Promise<LdapUser | LdapRefused> {
    const person = personOf(settings, entry, name)
    const fault = isActive ? accountFault(entry, Date.now()) : undefined
    if (person === undefined || fault !== undefined) return refused(fault ?? 'unknown name')
    return { ...person, ...(await readMembership(connection.client, settings, entry, isActive)) }
  }

  return {
    async authenticate(name, password) {
      if (name === '') return refused('no name')
      // The directory would take it for a login as nobody, and say that all is well (RFC 4513, 5.1.2).
      if (password === '') return refused('no password')
      return call(async (connection, isActive) => {
        const found = await findByName(connection.client, settings, name, isActive)
        // A name that is not there costs the same requests as one with another password.
        const refusal = await tryPassword(
          connection.client,
          found.status === 'found' ? found.entry.dn : `cn=nobody,${settings.baseDn}`,
          password,
        )
        if (found.status === 'refused') return found
        if (refusal !== undefined) return isActive ? refused(accountFault(found.entry, Date.now()) ?? refusal.reason) : refusal
        // Groups are read with the rights of the search account, as they are when they are read again.
        await bindSearchAccount(connection, settings)
        const user = await userOf(connection, found.entry, name, isActive)
        return 'status' in user ? user : { status: 'authenticated', ...user }
      })
    },

    async groupsOf({ dn, name }) {
      return call(async (connection, isActive) => {
        const found = await findOne(connection.client, settings, isNamed(dn, isActive), name, isActive)
        const user = found.status === 'refused' ? found : await userOf(connection, found.entry, name, isActive)
        return 'status' in user ? user : { status: 'found', ...user }
      })
    },

    async searchUsers(text) {
      return call(async ({ client }) => ({ status: 'found', users: await findPeople(client, settings, text, FOUND) }))
    },

    async searchGroups(which) {
      return call(async ({ client }, isActive) => {
        const clause = 'dn' in which ? isNamed(which.dn, isActive) : contains(settings.groupNameAttribute, which.name)
        return { status: 'found', groups: settings.groupBaseDn === '' ? [] : await searchForGroups(client, settings, [clause], FOUND) }
      })
    },

    async ping() {
      return call(async ({ client }, isActive) => {
        parsedFilter(settings.filter, 'filter not valid')
        parsedFilter(settings.groupFilter, 'group filter not valid')
        // RFC 4511, 4.5.1.8: `1.1` asks for no attribute.
        const itself: SearchOptions = { scope: 'base', attributes: ['1.1'], sizeLimit: 1 }
        await search(client, settings.baseDn, itself, 'base DN unknown')
        if (settings.groupBaseDn !== '') await search(client, settings.groupBaseDn, itself, 'group base DN unknown')
        return { status: 'reachable', activeDirectory: isActive }
      })
    },

    close() {
      closed = true
      for (const controller of running) controller.abort(new DirectoryFailure('closed'))
    },
  }
}

async function isActiveDirectory({ client }: Connection): Promise<boolean> {
  try {
    const { searchEntries } = await client.search('', { scope: 'base', attributes: ['supportedCapabilities'] })
    return searchEntries.some((root) => valuesOf(root, 'supportedCapabilities').includes(ACTIVE_DIRECTORY))
  } catch (error) {
    // Some hide their root; that one never does.
    const code = resultCodeOf(error)
    if (code === RESULT.noSuchObject || code === RESULT.insufficientAccessRights) return false
    throw failureOf(error, 'search refused')
  }
}
