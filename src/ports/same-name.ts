/** As names and addresses are compared: two that are the same after this are one. */
export function folded(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}

/** What tells a group from others: an LDAP group's DN, and a provider's exact name, since providers tell names apart by case. */
export function groupKey(group: { readonly source: 'ldap' | 'oidc'; readonly name: string; readonly dn?: string | undefined }): string {
  return group.source === 'ldap' ? `ldap:${folded(group.dn ?? '')}` : `oidc:${group.name}`
}
