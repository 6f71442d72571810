import { describe, it } from '@jest/globals'
import { decideProject, decideProjects, evolveProject, evolveProjects } from '../../../src/commands/project/decide.ts'
import type { CreateProject, ProjectCommand, ProjectState, ProjectsCommand, ProjectsState } from '../../../src/commands/project/decide.ts'
import {
  MemberAdded, MemberRemoved, MemberRoleChanged, MetadataChanged, ProjectCreated, ProjectDeleted, ProjectDeletionBegun, ProjectDeletionStopped,
  VisibilityChanged,
} from '../../../src/commands/project/events.ts'
import type { ProjectFact, ProjectsFact } from '../../../src/commands/project/events.ts'
import { specification } from '../../support/specification.ts'

const [first, second, owner, group] = [
  '11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222', '33333333-3333-4333-8333-333333333333', '44444444-4444-4444-8444-444444444444',
]

/** The id of each event, so that a command can name one. */
const EVENT = '55555555-5555-4555-8555-555555555555'
const projects = specification<ProjectsState, ProjectsCommand, ProjectsFact>({
  initial: { revision: -1, lastNumber: 0, names: new Map(), deletions: new Map() },
  evolve: (state, event) => evolveProjects(state, { ...event, id: EVENT }),
  decide: decideProjects,
})
const create = (id: string, name: string): CreateProject => ({ type: 'CreateProject', id, name, owner, visibility: 'private' })
const created = (project: string, number: number, name: string) => ProjectCreated({ project, number, name, visibility: 'private', owner })

describe('creating a project', () => {
  it('gives the first the number 1', () => {
    projects.given().when(create(first, 'library')).then(created(first, 1, 'library'))
  })

  it('goes on from the last number, also from one that is gone', () => {
    projects.given(created(first, 7, 'library')).when(create(second, 'team')).then(created(second, 8, 'team'))
    projects.given(created(first, 7, 'team'), ProjectDeleted({ project: first })).when(create(second, 'team')).then(created(second, 8, 'team'))
  })

  it('is refused under a name that is taken', () => {
    projects.given(created(first, 1, 'team')).when(create(second, 'team')).thenRefused('CONFLICT')
    projects.given(created(first, 1, 'team'), created(second, 2, 'other')).when(create(second, 'team')).thenRefused('CONFLICT')
  })

  it('says all that is said of it in one event', () => {
    const command = { ...create(first, 'team'), visibility: 'public', metadata: { severity: 'low' } } as const
    projects.given().when(command).then(ProjectCreated({ project: first, number: 1, name: 'team', visibility: 'public', owner, metadata: { severity: 'low' } }))
  })

  it('by a robot has no owner', () => {
    projects.given().when({ type: 'CreateProject', id: first, name: 'team', visibility: 'public' }).then(ProjectCreated({ project: first, number: 1, name: 'team', visibility: 'public' }))
  })
})

describe('deleting a project', () => {
  const [team, begun, stopped, deleted] = [
    created(first, 1, 'team'), ProjectDeletionBegun({ project: first }), ProjectDeletionStopped({ project: first }), ProjectDeleted({ project: first }),
  ]
  const begin = { type: 'BeginDeletion', id: first } as const
  const stop = { type: 'StopDeletion', id: first } as const
  const end = { type: 'DeleteProject', id: first, deletion: EVENT } as const

  it('is begun, and then ends it, each once', () => {
    projects.given(team).when(begin).then(begun)
    projects.given(team, begun).when(begin).then()
    projects.given(team, begun).when(end).then(deleted)
  })

  it('that was stopped, or not begun, does not end it', () => {
    projects.given(team, begun).when(stop).then(stopped)
    projects.given(team, begun, stopped).when(stop).then()
    projects.given(team, begun, stopped).when(begin).then(begun)
    for (const facts of [[team], [team, begun, stopped]]) {
      projects.given(...facts).when(end).thenRefused('PRECONDITION')
      projects.given(...facts).when({ ...end, deletion: undefined }).thenRefused('PRECONDITION')
    }
  })

  it('that another one has taken the place of does not end it', () => {
    projects.given(team, begun).when({ ...end, deletion: second }).thenRefused('PRECONDITION')
  })

  it.each([begin, stop, end])('finds no project that is gone, or never was: $type', (command) => {
    projects.given(team, begun, deleted).when(command).thenRefused('NOT_FOUND')
    projects.given().when(command).thenRefused('NOT_FOUND')
  })
})

describe('a project', () => {
  const initial: ProjectState = { revision: -1, live: true, visibility: 'private', members: new Map([[`user:${owner}`, 'projectAdmin']]), metadata: new Map() }
  const project = specification<ProjectState, ProjectCommand, ProjectFact>({ initial, evolve: evolveProject, decide: decideProject })
  const user = { kind: 'user', id: owner } as const
  const team = { kind: 'group', id: group } as const

  it('becomes public and private, each said once with what was before', () => {
    const toPublic = VisibilityChanged({ from: 'private', to: 'public' })
    project.given().when({ type: 'ChangeProject', visibility: 'public' }).then(toPublic)
    project.given(toPublic).when({ type: 'ChangeProject', visibility: 'public' }).then()
    project.given(toPublic).when({ type: 'ChangeProject', visibility: 'private' }).then(VisibilityChanged({ from: 'public', to: 'private' }))
  })

  it('keeps metadata, and says what each was before', () => {
    const set = MetadataChanged({ name: 'auto_scan', from: null, to: 'true' })
    project.given().when({ type: 'ChangeProject', metadata: { auto_scan: 'true' } }).then(set)
    project.given(set).when({ type: 'ChangeProject', metadata: { auto_scan: 'true' } }).then()
    project.given(set).when({ type: 'ChangeProject', metadata: { auto_scan: null } }).then(MetadataChanged({ name: 'auto_scan', from: 'true', to: null }))
    project.given().when({ type: 'ChangeProject', metadata: { auto_scan: null } }).then()
  })

  it('changes all that differs at once', () => {
    const set = MetadataChanged({ name: 'auto_scan', from: null, to: 'true' })
    const command = { type: 'ChangeProject', visibility: 'public', metadata: { auto_scan: null, severity: 'low', prevent_vul: null } } as const
    project.given(set).when(command).then(
      VisibilityChanged({ from: 'private', to: 'public' }), MetadataChanged({ name: 'auto_scan', from: 'true', to: null }), MetadataChanged({ name: 'severity', from: null, to: 'low' }),
    )
  })

  it('takes a member once, a user beside a group of the same id', () => {
    project.given().when({ type: 'AddMember', member: team, role: 'guest' }).then(MemberAdded({ member: team, role: 'guest' }))
    project.given(MemberAdded({ member: team, role: 'guest' })).when({ type: 'AddMember', member: team, role: 'maintainer' }).thenRefused('CONFLICT')
    project.given().when({ type: 'AddMember', member: user, role: 'guest' }).thenRefused('CONFLICT')
    project.given().when({ type: 'AddMember', member: { kind: 'group', id: owner }, role: 'guest' }).then(MemberAdded({ member: { kind: 'group', id: owner }, role: 'guest' }))
  })

  it('changes the role of a member, with what it was', () => {
    const changed = MemberRoleChanged({ member: user, from: 'projectAdmin', to: 'developer' })
    project.given().when({ type: 'ChangeMemberRole', member: user, role: 'developer' }).then(changed)
    project.given(changed).when({ type: 'ChangeMemberRole', member: user, role: 'developer' }).then()
    project.given(changed).when({ type: 'ChangeMemberRole', member: user, role: 'auditor' }).then(MemberRoleChanged({ member: user, from: 'developer', to: 'auditor' }))
    project.given().when({ type: 'ChangeMemberRole', member: team, role: 'guest' }).thenRefused('NOT_FOUND')
  })

  it('lets a member go, with the role that ends, and take it again', () => {
    const removed = MemberRemoved({ member: user, role: 'projectAdmin' })
    project.given().when({ type: 'RemoveMember', member: user }).then(removed)
    project.given(removed).when({ type: 'RemoveMember', member: user }).thenRefused('NOT_FOUND')
    project.given(removed).when({ type: 'AddMember', member: user, role: 'guest' }).then(MemberAdded({ member: user, role: 'guest' }))
  })

  it.each<ProjectCommand>([
    { type: 'ChangeProject', visibility: 'private' },
    { type: 'ChangeProject', metadata: { auto_scan: null } },
    { type: 'AddMember', member: team, role: 'guest' },
    { type: 'ChangeMemberRole', member: user, role: 'guest' },
    { type: 'RemoveMember', member: user },
  ])('that is gone takes no $type', (command) => {
    const gone = specification<ProjectState, ProjectCommand, ProjectFact>({ initial: { ...initial, live: false }, evolve: evolveProject, decide: decideProject })
    gone.given().when(command).thenRefused('NOT_FOUND')
  })
})
