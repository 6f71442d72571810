/** How much of the tree below a base DN a search looks at (RFC 4511, 4.5.1.2): the entry itself, the level below it, or all. */
export type LdapScope = 'base' | 'one' | 'sub'

/** How a directory is reached and read. What Harbor has too is named after its `ldap_*` configuration. */
export type LdapSettings = {
  /** `ldap://host[:port]` or `ldaps://host[:port]`. */
  readonly url: string
  /** Has an `ldap://` connection encrypted before anything is said on it. Where the server refuses, nothing is said. */
  readonly startTls: boolean
  readonly verifyCertificate: boolean
  /** Certificates that are trusted, as PEM, instead of those that Node brings. */
  readonly certificateAuthorities?: string
  /** The account that searches; empty: it searches as nobody. */
  readonly searchDn: string
  readonly searchPassword: string
  readonly baseDn: string
  /** Which entries may log in, as RFC 4515 writes it; empty: all that have the attribute `uid`. */
  readonly filter: string
  /** The attribute that holds the name that people type: `uid`, `cn`, `sAMAccountName` … */
  readonly uid: string
  readonly scope: LdapScope
  /** Empty: nobody has groups, but for the administrators' where the user's entry names it. */
  readonly groupBaseDn: string
  readonly groupFilter: string
  readonly groupNameAttribute: string
  readonly groupScope: LdapScope
  /** Whoever is in this group is a system administrator; empty: nobody is. */
  readonly groupAdminDn: string
  /** The attribute of a user's entry that names groups; empty: none is looked at. */
  readonly groupMembershipAttribute: string
  /** Whether the members of a group that stands in another are in that one too. */
  readonly nestedGroups: boolean
  /** The most that one call takes, from its start to its answer. */
  readonly timeoutMs: number
  /** The most connections at once. */
  readonly connections: number
}
