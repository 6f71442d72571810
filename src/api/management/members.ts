import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { groupsAggregate } from '../../commands/group/aggregate.ts'
import { projectAggregate } from '../../commands/project/aggregate.ts'
import { memberKey } from '../../commands/project/events.ts'
import type { Member } from '../../commands/project/events.ts'
import { groupKey } from '../../ports/same-name.ts'
import { memberColumns } from '../../projections/project-queries.ts'
import type { MemberEntry } from '../../projections/project-queries.ts'
import { carryOut } from './carry-out.ts'
import { listAsked, pageAnswer, pageParameters } from './listing.ts'
import type { Management } from './management.ts'
import { Number32, line } from './people.ts'
import { roleNumber, roleOfNumber } from './roles.ts'
import { ProjectPath, apiError, done, projectOf, route } from './route.ts'
import type { ApiError, Asked, Route } from './route.ts'
import { GROUP_TYPES, groupOf, groupOfNumber } from './user-groups.ts'

/** 0: none is meant, as Harbor's clients say it. */
const MaybeNumber = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })
const RoleId = Type.Integer({ description: '1 projectAdmin, 2 developer, 3 guest, 4 maintainer, 5 limitedGuest, 6 auditor (which Harbor does not have)' })

const MemberBody = Type.Object({
  role_id: RoleId,
  member_user: Type.Optional(Type.Object({ user_id: Type.Optional(MaybeNumber), username: Type.Optional(line(255)) })),
  member_group: Type.Optional(
    Type.Object({
      id: Type.Optional(MaybeNumber),
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
      return done(await carryOut(management, asked, projectAggregate(management.decisionRows, id), { type: 'ChangeMemberRole', member: entry.member, role }))
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
      return done(await carryOut(management, asked, projectAggregate(management.decisionRows, id), { type: 'RemoveMember', member: entry.member }))
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
    const found = number > 0 ? await queries().userByNumber(number) : await identity.userByName(username)
    return found === undefined ? apiError(404, 'NOT_FOUND', 'there is no such user') : { kind: 'user', id: found.id }
  }
  const { id: number = 0 } = group ?? {}
  if (number > 0) {
    const found = await groupOfNumber(management, number)
    return 'refused' in found ? found : { kind: 'group', id: found.id }
  }
  return memberGroup(management, asked, group ?? {})
}

type GivenGroup = NonNullable<Static<typeof MemberBody>['member_group']>

/** The group of this name or DN; one that is not known yet is made known. */
async function memberGroup(management: Management, asked: Asked, group: GivenGroup): Promise<Member | ApiError> {
  const { group_name: name = '', ldap_group_dn: dn = '', group_type: type = dn === '' ? GROUP_TYPES.oidc : GROUP_TYPES.ldap } = group
  const known = type === GROUP_TYPES.ldap ? await management.queries().groupIdByKey(groupKey({ source: 'ldap', name, dn })) : undefined
  if (known !== undefined) return { kind: 'group', id: known }
  const named = await groupOf(management, name, type, dn)
  if ('refused' in named) return named
  await carryOut(management, asked, groupsAggregate(management.decisionRows), { type: 'CreateGroups', groups: [named], onlyNew: true })
  return { kind: 'group', id: (await management.queries().groupIdByKey(groupKey(named))) ?? named.id }
}
