import { memberKey } from '../commands/project/events.ts'
import type { Member } from '../commands/project/events.ts'
import type { RobotTerms } from '../commands/robot/events.ts'
import type { Recorded } from '../ports/event.ts'
import type { Sealed } from '../ports/key-store.ts'
import { positionNumber } from '../ports/position.ts'
import { folded, groupKey } from '../ports/same-name.ts'
import { idOfStream, isIdentity, stateFact } from './facts.ts'
import type { IdentityFact } from './facts.ts'
import { put, set } from './projection.ts'
import type { Change, FoldContext, PrivatePart, Projection, Row, Table } from './projection.ts'

/**
 * What is said of a person stands here in clear, and sealed as in the log. `credential` and `cli_credential` name what a login rests on:
 * the event that set it. A token or session that names another one has ended.
 */
const users: Table = {
  name: 'users',
  columns: {
    id: 'text',
    number: 'integer',
    source: 'text',
    name: 'text',
    email: 'text',
    real_name: 'text',
    comment: 'text',
    external: 'text',
    folded_name: 'text',
    folded_email: 'text',
    sealed: 'text',
    verifier: 'text',
    credential: 'text',
    cli_verifier: 'text',
    cli_credential: 'text',
    administrator: 'boolean',
    administrator_by_directory: 'boolean',
    auditor: 'boolean',
    groups: 'text',
    live: 'boolean',
    forgotten: 'boolean',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
  key: ['id'],
  personal: true,
  indexes: ['(folded_name) where live', '(folded_email) where live', '(number)', '(external) where live', '(administrator) where administrator'],
}

const groups: Table = {
  name: 'groups',
  columns: { id: 'text', number: 'integer', name: 'text', source: 'text', dn: 'text', key: 'text', live: 'boolean', created_at: 'timestamptz', updated_at: 'timestamptz' },
  key: ['id'],
  indexes: ['(number)', '(key) where live'],
}

const robots: Table = {
  name: 'robots',
  columns: {
    id: 'text',
    number: 'integer',
    name: 'text',
    project: 'text',
    verifier: 'text',
    credential: 'text',
    description: 'text',
    disabled: 'boolean',
    expires_at: 'timestamptz',
    permissions: 'text',
    workloads: 'text',
    creator: 'text',
    live: 'boolean',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
  key: ['id'],
  indexes: ['(number)', '(name, project) where live', '(project) where live'],
}

/** `deletion`: the event that began one that has not ended. */
const projects: Table = {
  name: 'projects',
  columns: {
    id: 'text', number: 'integer', name: 'text', visibility: 'text', owner: 'text', deletion: 'text', live: 'boolean', created_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
  key: ['id'],
  indexes: ['(name) where live', '(number)', `(id) where live and visibility = 'public'`],
}

const projectMetadata: Table = { name: 'project_metadata', columns: { project: 'text', name: 'text', value: 'text' }, key: ['project', 'name'] }

/** `member` is a `memberKey`; `role` is null once the member was removed. */
const members: Table = {
  name: 'members',
  columns: { project: 'text', member: 'text', role: 'text', number: 'bigint', created_at: 'timestamptz', updated_at: 'timestamptz' },
  key: ['project', 'member'],
  keep: ['number', 'created_at'],
  indexes: ['(member) where role is not null', '(number)'],
}

/** `value` is JSON; a secret's stands sealed instead. */
const settings: Table = { name: 'settings', columns: { name: 'text', value: 'text', sealed: 'text' }, key: ['name'] }

/** The kid of a pair that tokens are signed with, or `verifier`. */
const keys: Table = {
  name: 'keys',
  columns: { kid: 'text', public_key: 'text', private_key: 'text', not_before: 'timestamptz', pos: 'bigint' },
  key: ['kid'],
}

/** Where the key of the keyed hashes stands in `keys`. */
export const VERIFIER_KID = 'verifier'

/** Who there is, and what rights and logins rest on. */
export const identity: Projection = {
  name: 'identity',
  tables: [users, groups, robots, projects, projectMetadata, members, settings, keys],
  needs(event) {
    const fact = stateFact(event)
    const sealed = fact.type === 'UserCreated' ? fact.data.person : fact.type === 'PersonChanged' ? fact.data.to : undefined
    return sealed === undefined ? {} : { sealed: [sealed] }
  },
  fold(recorded, context): readonly Change[] {
    const fact = stateFact(recorded.event)
    return isIdentity(fact) ? changesOf(fact, recorded, context) : []
  },
}

function changesOf(fact: IdentityFact, recorded: Recorded, context: FoldContext): readonly Change[] {
  const at = context.asOf
  const { stream, event } = recorded
  const changeUser = (id: string, columns: Row): readonly Change[] => [set(users, { id }, { ...columns, updated_at: at })]
  const changeRobot = (id: string, columns: Row): readonly Change[] => [set(robots, { id }, { ...columns, updated_at: at })]
  const changeGroup = (id: string, columns: Row): readonly Change[] => [set(groups, { id }, { ...columns, updated_at: at })]
  const changeProject = (id: string, columns: Row): Change => set(projects, { id }, { ...columns, updated_at: at })
  const changeMember = (member: Member, columns: Row): readonly Change[] => [
    set(members, { project: idOfStream(stream), member: memberKey(member) }, { ...columns, updated_at: at }),
    changeProject(idOfStream(stream), {}),
  ]
  switch (fact.type) {
    case 'RegistryCreated':
    case 'RoleMatrixAdopted':
      return []
    case 'SettingChanged':
      return 'secret' in fact.data
        ? [put(settings, { name: fact.data.name, value: null, sealed: fact.data.sealed })]
        : [put(settings, { name: fact.data.name, value: JSON.stringify(fact.data.to), sealed: null })]
    case 'SigningKeyMade': {
      const { kid, publicKey, privateKey, notBefore } = fact.data
      return [put(keys, { kid, public_key: publicKey, private_key: privateKey, not_before: notBefore, pos: positionNumber(recorded.position) })]
    }
    case 'VerifierKeyMade':
      return [put(keys, { kid: VERIFIER_KID, public_key: null, private_key: fact.data.key, not_before: null, pos: positionNumber(recorded.position) })]

    case 'UserCreated': {
      const { user, number, source, verifier, administrator, person } = fact.data
      const row = {
        id: user, number, source, ...personColumns(person, context), verifier: verifier ?? null, credential: event.id, cli_verifier: null,
        cli_credential: null, administrator, administrator_by_directory: false, auditor: false, groups: '[]', live: true, forgotten: false,
        created_at: at, updated_at: at,
      }
      return [put(users, row)]
    }
    case 'PersonChanged':
      return changeUser(fact.data.user, { ...personColumns(fact.data.to, context), ...(fact.data.moved === true ? { credential: event.id } : {}) })
    case 'UserDeleted':
      return changeUser(fact.data.user, ENDED_USER)
    case 'SubjectForgotten':
      return changeUser(fact.data.user, { ...ENDED_USER, ...NOBODY, forgotten: true })
    case 'AdministratorGranted':
      return changeUser(fact.data.user, { administrator: true, administrator_by_directory: fact.data.directory ?? false })
    case 'AdministratorRevoked':
      return changeUser(fact.data.user, { administrator: false, administrator_by_directory: false })
    case 'AuditorGranted':
      return changeUser(fact.data.user, { auditor: true })
    case 'AuditorRevoked':
      return changeUser(fact.data.user, { auditor: false })
    case 'PasswordChanged':
      return changeUser(idOfStream(stream), { verifier: fact.data.verifier, ...(fact.data.upgraded === true ? {} : { credential: event.id }) })
    case 'CliSecretChanged':
      return changeUser(idOfStream(stream), { cli_verifier: fact.data.verifier, cli_credential: event.id })
    case 'UserGroupsChanged':
      return changeUser(idOfStream(stream), { groups: JSON.stringify(fact.data.to) })

    case 'GroupCreated': {
      const { group, number, name, source, dn } = fact.data
      return [put(groups, { id: group, number, name, source, dn: dn ?? null, key: groupKey(fact.data), live: true, created_at: at, updated_at: at })]
    }
    case 'GroupRenamed':
      // Only a provider's group is told by its name.
      return changeGroup(fact.data.group, {
        name: fact.data.to,
        ...(fact.data.source === 'oidc' ? { key: groupKey({ source: 'oidc', name: fact.data.to }) } : {}),
      })
    case 'GroupDeleted':
      return changeGroup(fact.data.group, { live: false })

    case 'RobotCreated': {
      const { robot, number, name, project, verifier, description, disabled, expiresAt, permissions, workloads } = fact.data
      const row = {
        id: robot, number, name, project: project ?? null, verifier, credential: event.id,
        ...termsColumns({ description, disabled, expiresAt, permissions, workloads }),
        creator: `${event.actor.kind}:${event.actor.subject}`, live: true, created_at: at, updated_at: at,
      }
      return [put(robots, row)]
    }
    case 'RobotDeleted':
      return changeRobot(fact.data.robot, { live: false })
    case 'RobotChanged':
      return changeRobot(idOfStream(stream), termsColumns(fact.data.to))
    case 'RobotSecretRefreshed':
      return changeRobot(idOfStream(stream), { verifier: fact.data.verifier, credential: event.id })

    case 'ProjectCreated': {
      const { project, number, name, visibility, owner, metadata = {} } = fact.data
      const row = { id: project, number, name, visibility, owner: owner ?? null, deletion: null, live: true, created_at: at, updated_at: at }
      const first = { project, role: 'projectAdmin', number: context.ordinal, created_at: at, updated_at: at }
      return [
        put(projects, row),
        ...Object.entries(metadata).map(([key, value]) => put(projectMetadata, { project, name: key, value })),
        ...(owner === undefined ? [] : [put(members, { ...first, member: memberKey({ kind: 'user', id: owner }) })]),
      ]
    }
    case 'ProjectDeletionBegun':
      return [set(projects, { id: fact.data.project }, { deletion: event.id })]
    case 'ProjectDeletionStopped':
      return [set(projects, { id: fact.data.project }, { deletion: null })]
    case 'ProjectDeleted':
      return [changeProject(fact.data.project, { live: false })]
    case 'VisibilityChanged':
      return [changeProject(idOfStream(stream), { visibility: fact.data.to })]
    case 'MetadataChanged':
      return [put(projectMetadata, { project: idOfStream(stream), name: fact.data.name, value: fact.data.to }), changeProject(idOfStream(stream), {})]
    case 'MemberAdded': {
      const { member, role } = fact.data
      const project = idOfStream(stream)
      return [
        put(members, { project, member: memberKey(member), role, number: context.ordinal, created_at: at, updated_at: at }),
        changeProject(project, {}),
      ]
    }
    case 'MemberRoleChanged':
      return changeMember(fact.data.member, { role: fact.data.to })
    case 'MemberRemoved':
      return changeMember(fact.data.member, { role: null })
  }
}

const ENDED_USER: Row = { live: false, administrator: false, administrator_by_directory: false, auditor: false, verifier: null, cli_verifier: null }
const NOBODY: Row = { name: null, email: null, real_name: null, comment: null, external: null, folded_name: null, folded_email: null }

function personColumns(sealed: Sealed, context: FoldContext): Row {
  const person: PrivatePart | undefined = context.opened(sealed)
  if (person === undefined) return { ...NOBODY, sealed }
  const { name = '', email, realName, comment, external } = person
  return {
    name,
    email: email ?? null,
    real_name: realName ?? null,
    comment: comment ?? null,
    external: external ?? null,
    folded_name: folded(name),
    folded_email: email === undefined ? null : folded(email),
    sealed,
  }
}

function termsColumns({ description, disabled, expiresAt, permissions, workloads }: RobotTerms): Row {
  return { description, disabled, expires_at: expiresAt, permissions: JSON.stringify(permissions), workloads: JSON.stringify(workloads) }
}
