/** As names and addresses are compared: two that are the same after this are one. */
export function folded(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}

/** What tells a group from others: an LDAP group's DN, a provider's name. */
export function groupKey(group: { readonly source: 'ldap' | 'oidc'; readonly name: string; readonly dn?: string | undefined }): string {
  return `${group.source}:${folded(group.source === 'ldap' ? (group.dn ?? '') : group.name)}`
}
