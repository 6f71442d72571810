import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { groupsAggregate } from '../../commands/group/aggregate.ts'
import type { NewGroup } from '../../commands/group/aggregate.ts'
import type { GroupEntry } from '../../projections/people-queries.ts'
import { groupColumns } from '../../projections/people-queries.ts'
import { carryOut } from './carry-out.ts'
import { ldapGroup } from './ldap-groups.ts'
import { pageAnswer, pageParameters } from './listing.ts'
import type { Management } from './management.ts'
import { Number32, line } from './people.ts'
import { apiError, done, locationOf, route } from './route.ts'
import type { ApiError, Route } from './route.ts'

/** What Harbor calls the places that groups come from. */
export const GROUP_TYPES = { ldap: 1, oidc: 3 } as const

const GroupPath = Type.Object({ group_id: Number32 })
const GroupFields = { id: Type.Integer(), group_name: Type.String(), group_type: Type.Integer({ description: '1: of the LDAP directory; 3: of the OIDC provider' }) }
const GroupAnswer = Type.Object({ ...GroupFields, ldap_group_dn: Type.Optional(Type.String()) })

function needs(action: string): Route['needs'] {
  return { system: { resource: 'user-group', action } }
}

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/usergroups',
    summary: 'The groups of the outside directory or provider that are known here, by name.',
    tag: 'usergroup',
    needs: needs('list'),
    query: Type.Object({ ...pageParameters, group_name: Type.Optional(line(255)), ldap_group_dn: Type.Optional(line(1_000)) }),
    answers: { 200: Type.Array(GroupAnswer) },
    async handle({ queries }, asked, { query: { page, page_size: pageSize, group_name: name = '', ldap_group_dn: dn = '' } }) {
      const filters = [
        ...(name === '' ? [] : [{ by: groupColumns.group_name, match: 'part', value: name } as const]),
        ...(dn === '' ? [] : [{ by: groupColumns.ldap_group_dn, match: 'equal', value: dn } as const]),
      ]
      return pageAnswer(asked, { page, pageSize }, await queries().groups({ filters, order: [], page, pageSize }), groupAnswer)
    },
  }),

  route({
    method: 'post',
    path: '/usergroups',
    summary: 'Makes a group known: of the LDAP directory by its DN, which is looked up there, of the OIDC provider by its name.',
    tag: 'usergroup',
    needs: needs('create'),
    body: Type.Object({ group_name: line(255, 1), group_type: Type.Integer(), ldap_group_dn: Type.Optional(line(1_000)) }),
    answers: { 201: undefined },
    async handle(management, asked, { body: { group_name: name, group_type: type, ldap_group_dn: dn = '' } }) {
      const group = await groupOf(management, name, type, dn)
      if ('refused' in group) return group
      const outcome = await carryOut(management, asked, groupsAggregate(management.decisionRows), { type: 'CreateGroups', groups: [group] })
      if ('refused' in outcome) return outcome
      const [created] = outcome
      return { status: 201, headers: created?.type === 'GroupCreated' ? locationOf(asked, created.data.number) : {} }
    },
  }),

  route({
    method: 'get',
    path: '/usergroups/search',
    summary: 'The groups whose name has this part, by name.',
    tag: 'usergroup',
    needs: 'identified',
    query: Type.Object({ ...pageParameters, groupname: line(255, 1) }),
    answers: { 200: Type.Array(Type.Object(GroupFields)) },
    async handle({ queries }, asked, { query: { page, page_size: pageSize, groupname } }) {
      const found = await queries().groups({ filters: [{ by: groupColumns.group_name, match: 'part', value: groupname }], order: [], page, pageSize })
      return pageAnswer(asked, { page, pageSize }, found, searchAnswer)
    },
  }),

  route({
    method: 'get',
    path: '/usergroups/{group_id}',
    summary: 'A group.',
    tag: 'usergroup',
    needs: needs('read'),
    params: GroupPath,
    answers: { 200: GroupAnswer },
    async handle(management, _asked, { params }) {
      const group = await groupOfNumber(management, params.group_id)
      return 'refused' in group ? group : { status: 200, body: groupAnswer(group) }
    },
  }),

  route({
    method: 'put',
    path: '/usergroups/{group_id}',
    summary: 'Gives a group another name. One of the LDAP directory stays the group of its DN.',
    tag: 'usergroup',
    needs: needs('update'),
    params: GroupPath,
    body: Type.Object({ group_name: line(255, 1) }),
    answers: { 200: undefined },
    async handle(management, asked, { params, body }) {
      const group = await groupOfNumber(management, params.group_id)
      if ('refused' in group) return group
      return done(await carryOut(management, asked, groupsAggregate(management.decisionRows), { type: 'RenameGroup', group: group.id, name: body.group_name }))
    },
  }),

  route({
    method: 'delete',
    path: '/usergroups/{group_id}',
    summary: 'Forgets a group, and with it all that was given to it.',
    tag: 'usergroup',
    needs: needs('delete'),
    params: GroupPath,
    answers: { 200: undefined },
    async handle(management, asked, { params }) {
      const group = await groupOfNumber(management, params.group_id)
      if ('refused' in group) return group
      return done(await carryOut(management, asked, groupsAggregate(management.decisionRows), { type: 'DeleteGroup', group: group.id }))
    },
  }),
]

/** A group that is to be made known: of the LDAP directory by its DN, of the provider by its name. `name` and `dn` are empty where not given. */
export async function groupOf(management: Management, name: string, type: number, dn: string): Promise<NewGroup | ApiError> {
  if (type === GROUP_TYPES.ldap) return ldapGroup(management, dn, name)
  if (type !== GROUP_TYPES.oidc) return apiError(400, 'BAD_REQUEST', 'group_type is 1 (LDAP) or 3 (OIDC)')
  return name === '' ? apiError(400, 'BAD_REQUEST', "a provider's group is named by group_name") : { id: randomUUID(), name, source: 'oidc' }
}

/** The group that has this number on the wire; 404 where none lives. */
export async function groupOfNumber({ queries }: Management, number: number): Promise<GroupEntry | ApiError> {
  return (await queries().groupByNumber(number)) ?? apiError(404, 'NOT_FOUND', 'there is no such group')
}

function searchAnswer({ number, name, source }: GroupEntry): object {
  return { id: number, group_name: name, group_type: GROUP_TYPES[source] }
}

function groupAnswer(group: GroupEntry): object {
  return { ...searchAnswer(group), ...(group.dn === undefined ? {} : { ldap_group_dn: group.dn }) }
}
