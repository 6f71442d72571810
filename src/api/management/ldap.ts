import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { faultOfSetting } from '../../commands/settings/check.ts'
import { isSettingName } from '../../commands/settings/known.ts'
import type { SettingValues } from '../../commands/settings/known.ts'
import { createLdapDirectory } from '../../identity/ldap/directory.ts'
import type { LdapDirectory } from '../../identity/ldap/directory.ts'
import { folded } from '../../ports/same-name.ts'
import { holderOf, ldapSettings, outsideUser } from '../ldap-login.ts'
import { createOutsideUsers } from '../outside-user.ts'
import { directoryUnavailable, wordsOf } from './ldap-groups.ts'
import type { Management } from './management.ts'
import { line } from './people.ts'
import { apiError, route } from './route.ts'
import type { ApiError, Asked, Route } from './route.ts'

/** The settings of a directory that are tried; what is left out is as it is set. */
const Tried = Type.Object({
  ldap_url: Type.Optional(Type.String()),
  ldap_search_dn: Type.Optional(Type.String()),
  ldap_search_password: Type.Optional(Type.String()),
  ldap_base_dn: Type.Optional(Type.String()),
  ldap_filter: Type.Optional(Type.String()),
  ldap_uid: Type.Optional(Type.String()),
  ldap_scope: Type.Optional(Type.Integer()),
  ldap_connection_timeout: Type.Optional(Type.Integer({ description: 'Seconds.' })),
  ldap_verify_cert: Type.Optional(Type.Boolean()),
})

const Person = Type.Object({ username: Type.String(), realname: Type.Optional(Type.String()), email: Type.Optional(Type.String()) })
const Group = Type.Object({ group_name: Type.String(), group_type: Type.Integer(), ldap_group_dn: Type.String() })
const NotImported = Type.Array(Type.Object({ uid: Type.String(), error: Type.String() }))

export const routes: readonly Route[] = [
  route({
    method: 'post',
    path: '/ldap/ping',
    summary: 'Whether a directory can be reached and read with these settings; without a body: with those that are set.',
    tag: 'ldap',
    needs: { system: { resource: 'configuration', action: 'update' } },
    body: Type.Union([Tried, Type.Null()]),
    answers: { 200: Type.Object({ success: Type.Boolean(), message: Type.String() }) },
    async handle({ settings }, _asked, { body }) {
      const tried = triedOf(await settings(), body ?? {})
      if ('refused' in tried) return tried
      const directory = createLdapDirectory(ldapSettings(tried))
      try {
        const found = await directory.ping()
        const message = found.status === 'unavailable' ? wordsOf(found) : ''
        return { status: 200, body: { success: found.status === 'reachable', message } }
      } finally {
        directory.close()
      }
    },
  }),
  route({
    method: 'get',
    path: '/ldap/users/search',
    summary: 'People of the directory, by a part of their name.',
    tag: 'ldap',
    needs: { system: { resource: 'ldap-user', action: 'list' } },
    query: Type.Object({ username: Type.Optional(line(255)) }),
    answers: { 200: Type.Array(Person) },
    async handle(management, _asked, { query: { username = '' } }) {
      const directory = await directoryOf(management)
      if ('refused' in directory) return directory
      const found = await directory.searchUsers(username)
      if (found.status === 'unavailable') return directoryUnavailable(found)
      return { status: 200, body: found.users.map(({ name, email, realName }) => ({ username: name, realname: realName, email })) }
    },
  }),
  route({
    method: 'post',
    path: '/ldap/users/import',
    summary: 'Makes people of the directory known here before they log in. Where one is not to be had, those are answered, with why; the others are known.',
    tag: 'ldap',
    needs: { system: { resource: 'ldap-user', action: 'create' } },
    body: Type.Object({ ldap_uid_list: Type.Array(line(255, 1), { maxItems: 100 }) }),
    answers: { 200: undefined, 404: NotImported },
    async handle(management, asked, { body }) {
      const directory = await directoryOf(management)
      if ('refused' in directory) return directory
      const failed: Static<typeof NotImported> = []
      for (const uid of new Set(body.ldap_uid_list)) {
        const error = await importOne(management, asked, directory, uid)
        if (error !== undefined) failed.push({ uid, error })
      }
      return failed.length === 0 ? { status: 200 } : { status: 404, body: failed }
    },
  }),
  route({
    method: 'get',
    path: '/ldap/groups/search',
    summary: 'Groups of the directory, by a part of their name, or the one of a DN.',
    tag: 'ldap',
    needs: { system: { resource: 'ldap-user', action: 'list' } },
    query: Type.Object({ groupname: Type.Optional(line(255)), groupdn: Type.Optional(line(1_000)) }),
    answers: { 200: Type.Array(Group) },
    async handle(management, _asked, { query: { groupname: name = '', groupdn: dn = '' } }) {
      if (name === '' && dn === '') return apiError(400, 'BAD_REQUEST', 'groupname or groupdn must be given')
      const directory = await directoryOf(management)
      if ('refused' in directory) return directory
      const found = await directory.searchGroups(dn === '' ? { name } : { dn })
      if (found.status === 'unavailable') return directoryUnavailable(found)
      return { status: 200, body: found.groups.map((group) => ({ group_name: group.name, group_type: 1, ldap_group_dn: group.dn })) }
    },
  }),
]

async function directoryOf({ directory }: Management): Promise<LdapDirectory | ApiError> {
  return (await directory()) ?? apiError(400, 'BAD_REQUEST', 'no directory is asked here: auth_mode is not ldap_auth')
}

/** The settings as they are, but for what is tried. */
function triedOf(values: SettingValues, { ldap_connection_timeout: timeout, ...given }: Static<typeof Tried>): SettingValues | ApiError {
  const tried = { ...given, ...(timeout === undefined ? {} : { ldap_timeout: timeout }) }
  for (const [name, value] of Object.entries(tried)) {
    const fault = isSettingName(name) ? faultOfSetting(name, value) : undefined
    if (fault !== undefined) return apiError(400, 'BAD_REQUEST', `${name} ${fault}`)
  }
  const all = { ...values, ...tried }
  // The password that is set is said to the directory that it was set for, as the account that it is of, and to no other.
  const isTheSame = all.ldap_url === values.ldap_url && all.ldap_search_dn === values.ldap_search_dn && (all.ldap_verify_cert || !values.ldap_verify_cert)
  return isTheSame ? all : { ...all, ldap_search_password: given.ldap_search_password }
}

/** Makes one person known; answers why that cannot be. */
async function importOne(management: Management, asked: Asked, directory: LdapDirectory, uid: string): Promise<string | undefined> {
  const found = await directory.searchUsers(uid)
  if (found.status === 'unavailable') return wordsOf(found)
  const [person, ...more] = found.users.filter(({ name }) => folded(name) === folded(uid))
  if (person === undefined) return 'the directory has nobody of this name who may log in'
  if (more.length > 0) return 'the directory has several of this name'
  const read = await directory.groupsOf(person)
  if (read.status === 'unavailable') return wordsOf(read)
  if (read.status === 'refused') return 'may not log in'
  const known = await management.identity.userByName(read.name)
  if (known !== undefined && known.source !== 'ldap') return 'another user has this name'
  const holder = await holderOf(directory, known, read)
  if (holder === 'another') return 'the directory has several of this name'
  if (holder !== 'this') return wordsOf(holder)
  const users = createOutsideUsers({ ...management, context: asked.command() })
  return (await users.record(outsideUser(read), known)) === undefined ? 'another user has this name' : undefined
}
