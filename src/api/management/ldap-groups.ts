import { randomUUID } from 'node:crypto'
import type { NewGroup } from '../../commands/group/aggregate.ts'
import { ownName } from '../../identity/ldap/dn.ts'
import type { LdapUnavailable } from '../../identity/ldap/failure.ts'
import { storableGroup } from '../ldap-login.ts'
import type { Management } from './management.ts'
import { apiError } from './route.ts'
import type { ApiError } from './route.ts'

const unknownGroup = apiError(400, 'BAD_REQUEST', 'the directory shows no such group where the settings have it searched')

/**
 * The group of this DN, as it is to be known here: looked up where there is a directory, spelled as that spells it (logins will show it so),
 * and under its name there unless another is given. 400 where the directory does not have it, as Harbor answers; 503 where it cannot be
 * asked, where Harbor answers 500.
 */
export async function ldapGroup({ directory }: Pick<Management, 'directory'>, dn: string, givenName: string): Promise<NewGroup | ApiError> {
  if (dn === '') return apiError(400, 'BAD_REQUEST', 'a group of the LDAP directory is named by ldap_group_dn')
  const found = await (await directory())?.searchGroups({ dn })
  if (found?.status === 'unavailable') return directoryUnavailable(found)
  const shown = found === undefined ? { dn, name: ownName(dn) } : found.groups[0]
  const group = shown && storableGroup(shown)
  if (group === undefined) return unknownGroup
  const name = givenName === '' ? group.name : givenName
  return { id: randomUUID(), source: 'ldap', dn: group.dn, name }
}

export function directoryUnavailable(found: LdapUnavailable): ApiError {
  return apiError(503, 'UNAVAILABLE', `the directory cannot be asked: ${wordsOf(found)}`)
}

export function wordsOf({ reason, detail }: LdapUnavailable): string {
  return detail === undefined ? reason : `${reason} (${detail})`
}
