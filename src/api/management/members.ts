import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { groupsAggregate } from '../../commands/group/aggregate.ts'
import type { NewGroup } from '../../commands/group/aggregate.ts'
import { projectAggregate } from '../../commands/project/aggregate.ts'
import { memberKey } from '../../commands/project/events.ts'
import type { Member } from '../../commands/project/events.ts'
import { groupKey } from '../../ports/same-name.ts'
import { memberColumns } from '../../projections/project-queries.ts'
import type { MemberEntry } from '../../projections/project-queries.ts'
import { carryOut } from './carry-out.ts'
import { ldapGroup } from './ldap-groups.ts'
import { listAsked, pageAnswer, pageParameters } from './listing.ts'
import type { Management } from './management.ts'
import { line } from './people.ts'
import { roleNumber, roleOfNumber } from './roles.ts'
import { apiError, projectOf, route } from './route.ts'
import type { ApiError, Asked, Route } from './route.ts'

const Number32 = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })
const RoleId = Type.Integer({ description: '1 projectAdmin, 2 developer, 3 guest, 4 maintainer, 5 limitedGuest, 6 auditor (which Harbor does not have)' })

const MemberBody = Type.Object({
  role_id: RoleId,
  member_user: Type.Optional(Type.Object({ user_id: Type.Optional(Number32), username: Type.Optional(line(255)) })),
  member_group: Type.Optional(
    Type.Object({
      id: Type.Optional(Number32),
      group_name: Type.Optional(line(255)),
      group_type: Type.Optional(Type.Integer({ description: '1: of the LDAP directory, by ldap_group_dn; 3: of the OIDC provider, by group_name' })),
      ldap_group_dn: Type.Optional(line(1_000)),
    }),
  ),
})

const MemberAnswer = Type.Object({
  id: Type.Integer(),
  project_id: Type.Integer(),
  entity_name: Type.String(),
  role_name: Type.String(),
  role_id: Type.Integer(),
  entity_id: Type.Integer(),
  entity_type: Type.Union([Type.Literal('u'), Type.Literal('g')]),
})

const ProjectPath = Type.Object({ project_name_or_id: Type.String({ minLength: 1, maxLength: 255 }) })
const MemberPath = Type.Object({ ...ProjectPath.properties, mid: Number32 })

const needs = (action: string) => ({ project: { resource: 'member', action } })

export const routes: readonly Route[] = [
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/members',
    summary: 'The members of a project, users and groups.',
    tag: 'member',
    needs: needs('list'),
    params: ProjectPath,
    query: Type.Object({ ...pageParameters, entityname: Type.Optional(Type.String({ maxLength: 255, description: 'A part of the name.' })) }),
    answers: { 200: Type.Array(MemberAnswer) },
    async handle({ queries }, asked, { query }) {
      const list = listAsked(memberColumns, query)
      if ('refused' in list) return list
      const { id, number } = projectOf(asked)
      const { entityname: name = '' } = query
      const filters = name === '' ? [] : [{ by: memberColumns.entity_name, match: 'part', value: name } as const]
      return pageAnswer(asked, list, await queries().memberEntries(id, { ...list, filters }), (member) => shown(member, number))
    },
  }),
  route({
    method: 'post',
    path: '/projects/{project_name_or_id}/members',
    summary: 'Gives a user or a group a role in a project. A group that is not known yet becomes known by it, where the directory has it.',
    tag: 'member',
    needs: needs('create'),
    params: ProjectPath,
    body: MemberBody,
    answers: { 201: undefined },
    async handle(management, asked, { body }) {
      const project = projectOf(asked)
      const role = roleOfNumber(body.role_id)
      if (role === undefined) return unknownRole
      const member = await memberOf(management, asked, body)
      if ('refused' in member) return member
      const added = await carryOut(management, asked, projectAggregate(management.decisionRows, project.id), { type: 'AddMember', member, role })
      if ('refused' in added) return added
      const number = await management.queries().memberNumber(project.id, memberKey(member))
      return { status: 201, headers: { Location: `/api/v2.0/projects/${project.number}/members/${number ?? ''}` } }
    },
  }),
  route({
    method: 'get',
    path: '/projects/{project_name_or_id}/members/{mid}',
    summary: 'A member of a project.',
    tag: 'member',
    needs: needs('read'),
    params: MemberPath,
    answers: { 200: MemberAnswer },
    async handle({ queries }, asked, { params }) {
      const { id, number } = projectOf(asked)
      const member = await queries().memberEntry(id, params.mid)
      return member === undefined ? unknownMember : { status: 200, body: shown(member, number) }
    },
  }),
  route({
    method: 'put',
    path: '/projects/{project_name_or_id}/members/{mid}',
    summary: 'Gives a member another role.',
    tag: 'member',
    needs: needs('update'),
    params: MemberPath,
    body: Type.Object({ role_id: RoleId }),
    answers: { 200: undefined },
    async handle(management, asked, { params, body }) {
      const { id } = projectOf(asked)
      const role = roleOfNumber(body.role_id)
      if (role === undefined) return unknownRole
      const entry = await management.queries().memberEntry(id, params.mid)
      if (entry === undefined) return unknownMember
      const changed = await carryOut(management, asked, projectAggregate(management.decisionRows, id), { type: 'ChangeMemberRole', member: entry.member, role })
      return 'refused' in changed ? changed : { status: 200 }
    },
  }),
  route({
    method: 'delete',
    path: '/projects/{project_name_or_id}/members/{mid}',
    summary: 'Takes away what a member was given in a project.',
    tag: 'member',
    needs: needs('delete'),
    params: MemberPath,
    answers: { 200: undefined },
    async handle(management, asked, { params }) {
      const { id } = projectOf(asked)
      const entry = await management.queries().memberEntry(id, params.mid)
      if (entry === undefined) return unknownMember
      const removed = await carryOut(management, asked, projectAggregate(management.decisionRows, id), { type: 'RemoveMember', member: entry.member })
      return 'refused' in removed ? removed : { status: 200 }
    },
  }),
]

const unknownRole = apiError(400, 'BAD_REQUEST', 'role_id must be one of 1, 2, 3, 4, 5, 6')
const unknownMember = apiError(404, 'NOT_FOUND', 'the project has no such member')

function shown({ number, member, role, name, entityNumber }: MemberEntry, project: number): Static<typeof MemberAnswer> {
  return {
    id: number,
    project_id: project,
    entity_name: name,
    role_name: role,
    role_id: roleNumber(role),
    entity_id: entityNumber,
    entity_type: member.kind === 'user' ? 'u' : 'g',
  }
}

/** Who is meant. */
async function memberOf(management: Management, asked: Asked, { member_user: user, member_group: group }: Static<typeof MemberBody>): Promise<Member | ApiError> {
  const { identity, queries } = management
  if ((user === undefined) === (group === undefined)) return apiError(400, 'BAD_REQUEST', 'one of member_user and member_group must be given')
  if (user !== undefined) {
    const { user_id: number = 0, username = '' } = user
    const id = number > 0 ? await queries().userIdByNumber(number) : (await identity.userByName(username))?.id
    return id === undefined ? apiError(404, 'NOT_FOUND', 'there is no such user') : { kind: 'user', id }
  }
  const { id: number = 0 } = group ?? {}
  if (number > 0) {
    const id = await queries().groupIdByNumber(number)
    return id === undefined ? apiError(404, 'NOT_FOUND', 'there is no such group') : { kind: 'group', id }
  }
  return memberGroup(management, asked, group ?? {})
}

type GivenGroup = NonNullable<Static<typeof MemberBody>['member_group']>

/** The group of this name or DN; one that is not known yet is made known. */
async function memberGroup(management: Management, asked: Asked, group: GivenGroup): Promise<Member | ApiError> {
  const { group_name: name = '', ldap_group_dn: dn = '', group_type: type = dn === '' ? 3 : 1 } = group
  const known = type === 1 ? await management.queries().groupIdByKey(groupKey({ source: 'ldap', name, dn })) : undefined
  if (known !== undefined) return { kind: 'group', id: known }
  const named = await namedGroup(management, type, name, dn)
  if ('refused' in named) return named
  await carryOut(management, asked, groupsAggregate(management.decisionRows), { type: 'CreateGroups', groups: [named], onlyNew: true })
  return { kind: 'group', id: (await management.queries().groupIdByKey(groupKey(named))) ?? named.id }
}

async function namedGroup(management: Management, type: number, name: string, dn: string): Promise<NewGroup | ApiError> {
  switch (type) {
    case 1:
      return ldapGroup(management, dn, name)
    case 3:
      if (name === '') return apiError(400, 'BAD_REQUEST', "a provider's group is named by group_name")
      return { id: randomUUID(), source: 'oidc', name }
    default:
      return apiError(400, 'BAD_REQUEST', 'group_type must be 1 (LDAP) or 3 (OIDC)')
  }
}
