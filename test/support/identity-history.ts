import { decide as decideGroups, evolve as evolveGroups } from '../../src/commands/group/aggregate.ts'
import type { GroupsCommand, GroupsState } from '../../src/commands/group/aggregate.ts'
import type { GroupFact } from '../../src/commands/group/events.ts'
import { SigningKeyMade, VerifierKeyMade } from '../../src/commands/keys/events.ts'
import { decideProject, decideProjects, evolveProject, evolveProjects } from '../../src/commands/project/decide.ts'
import type { ProjectCommand, ProjectState, ProjectsCommand, ProjectsState } from '../../src/commands/project/decide.ts'
import { memberKey } from '../../src/commands/project/events.ts'
import type { Member, ProjectFact, ProjectsFact, Role } from '../../src/commands/project/events.ts'
import type { Rejection } from '../../src/commands/rejection.ts'
import { decideRobot, decideRobots, evolveRobot, evolveRobots } from '../../src/commands/robot/aggregate.ts'
import type { RobotCommand, RobotState, RobotsCommand, RobotsState } from '../../src/commands/robot/aggregate.ts'
import type { RobotFact, RobotTerms, RobotsFact } from '../../src/commands/robot/events.ts'
import { RegistryCreated, RoleMatrixAdopted, SettingChanged } from '../../src/commands/settings/events.ts'
import { decideUser, evolveUser } from '../../src/commands/user/aggregate.ts'
import type { UserCommand, UserState } from '../../src/commands/user/aggregate.ts'
import { decide as decideUsers, evolve as evolveUsers } from '../../src/commands/user/decide.ts'
import type { UsersCommand, UsersState } from '../../src/commands/user/decide.ts'
import type { Person, UserFact, UsersFact } from '../../src/commands/user/events.ts'
import type { Event, Fact } from '../../src/ports/event.ts'
import type { EventLog } from '../../src/ports/event-log.ts'
import { SECRETS } from '../../src/ports/key-store.ts'
import type { Sealed, Sealer } from '../../src/ports/key-store.ts'
import { streams } from '../../src/ports/streams.ts'
import type { Lots } from './lots.ts'

/** What people and rights of a history need of the rest of it. */
export type IdentityTools = {
  readonly random: Lots
  readonly sealer: Sealer
  /** Destroys a subject's key. Undefined: nobody is forgotten. */
  readonly forget: ((subject: string) => Promise<void>) | undefined
  /** Appends, as somebody; the events have their ids then. */
  readonly send: (stream: string, expected: number, facts: readonly Fact[], by: 'somebody' | 'system') => Promise<readonly Event[]>
  /** A caller who is no user yet, by id, or a new id. */
  readonly newcomer: () => string
  /** The latest time of all events so far. */
  readonly now: () => Date
  /** How many projects there may be at once. */
  readonly maxProjects: number
}

export type IdentityHistory = Awaited<ReturnType<typeof openIdentityHistory>>

type Held<S> = { state: S }

const EMPTY = { revision: -1, lastNumber: 0 }
const ROLES: readonly Role[] = ['projectAdmin', 'maintainer', 'developer', 'guest', 'limitedGuest', 'auditor']
const NAMES = ['alice', 'Bob', 'ＣＡＲＯＬ', 'dave', 'Ève', 'frank', 'grace', 'heidi', 'Iván', 'judy', '李雷', 'mallory']
const SETTINGS = ['self_registration', 'token_expiration', 'ldap_url', 'project_creation_restriction']
const METADATA = ['auto_scan', 'severity', 'reuse_sys_cve_allowlist']
/** More of them are made only where some ended. */
const MAX_USERS = 40
const MAX_ROBOTS = 20
const MAX_GROUPS = 12

/**
 * Users, groups, robots, projects, members and settings as years leave them: each change is what the real decider makes of a command,
 * on the whole state. Continues a log that has begun.
 */
export async function openIdentityHistory(log: EventLog, tools: IdentityTools) {
  const { random, sealer, send } = tools
  const users: Held<UsersState> = { state: { ...EMPTY, users: new Map(), administrators: new Set() } }
  const groups: Held<GroupsState> = { state: { ...EMPTY, groups: new Map() } }
  const robots: Held<RobotsState> = { state: { ...EMPTY, robots: new Map() } }
  const projects: Held<ProjectsState> = { state: { ...EMPTY, names: new Map(), deletions: new Map() } }
  const user = new Map<string, UserState>()
  const robot = new Map<string, RobotState>()
  const project = new Map<string, ProjectState>()
  const settings = { revision: -1, values: new Map<string, string | number | boolean | null>() }
  const keys = { revision: -1 }

  const opened = async (sealed: Sealed): Promise<Person | undefined> => {
    const clear = await sealer.open(sealed)
    return clear === undefined ? undefined : (JSON.parse(clear) as Person)
  }

  async function applyUsers(event: Event<UsersFact>): Promise<void> {
    const sealed = event.type === 'UserCreated' ? event.data.person : event.type === 'PersonChanged' ? event.data.to : undefined
    users.state = evolveUsers(users.state, event, sealed && (await opened(sealed)))
    if (event.type === 'UserCreated') user.set(event.data.user, { revision: -1, groups: [] })
  }

  function applyRobots(event: Event<RobotsFact>): void {
    robots.state = evolveRobots(robots.state, event)
    if (event.type === 'RobotDeleted') {
      robot.set(event.data.robot, { revision: robot.get(event.data.robot)?.revision ?? -1, terms: undefined })
      return
    }
    const { description, disabled, expiresAt, permissions, workloads } = event.data
    robot.set(event.data.robot, { revision: -1, terms: { description, disabled, expiresAt, permissions, workloads } })
  }

  function applyProjects(event: Event<ProjectsFact>): void {
    projects.state = evolveProjects(projects.state, event)
    if (event.type === 'ProjectDeleted') {
      const ended = project.get(event.data.project)
      if (ended !== undefined) project.set(event.data.project, { ...ended, live: false })
    }
    if (event.type !== 'ProjectCreated') return
    const { owner, visibility, metadata = {} } = event.data
    const members = new Map<string, Role>(owner === undefined ? [] : [[memberKey({ kind: 'user', id: owner }), 'projectAdmin']])
    project.set(event.data.project, { revision: -1, live: true, visibility, members, metadata: new Map(Object.entries(metadata)) })
  }

  async function all<F extends Fact>(stream: string): Promise<Event<F>[]> {
    const found: Event<F>[] = []
    for await (const { event } of log.readStream(stream, -1)) found.push(event as Event<F>)
    return found
  }
  for (const event of await all<UsersFact>(streams.users)) await applyUsers(event)
  for (const event of await all<ProjectsFact>(streams.projects)) applyProjects(event)
  settings.revision = (await all(streams.settings)).length - 1
  keys.revision = (await all(streams.keys)).length - 1

  const isRejection = (decision: readonly unknown[] | Rejection): decision is Rejection => 'refused' in decision

  /** Whether it was done: a refusal leaves the history as it is. */
  async function decided<F extends Fact>(stream: string, revision: number, decision: readonly F[] | Rejection, apply: (event: Event<F>) => Promise<void> | void): Promise<boolean> {
    if (isRejection(decision) || decision.length === 0) return false
    for (const event of await send(stream, revision, decision, 'somebody')) await apply(event as Event<F>)
    return true
  }

  async function ofUsers(command: UsersCommand): Promise<boolean> {
    const decision = decideUsers(users.state, command)
    if (command.type === 'ForgetUser' && !isRejection(decision)) await tools.forget?.(command.user)
    return decided(streams.users, users.state.revision, decision, applyUsers)
  }
  const ofGroups = (command: GroupsCommand): Promise<boolean> =>
    decided<GroupFact>(streams.groups, groups.state.revision, decideGroups(groups.state, command), (event) => { groups.state = evolveGroups(groups.state, event) })
  const ofRobots = (command: RobotsCommand): Promise<boolean> => decided(streams.robots, robots.state.revision, decideRobots(robots.state, command), applyRobots)
  const ofProjects = (command: ProjectsCommand): Promise<boolean> =>
    decided(streams.projects, projects.state.revision, decideProjects(projects.state, command), applyProjects)

  /** Of one thing's own life: its state, which is there since its creation. */
  async function own<S extends { readonly revision: number }, F extends Fact>(
    states: Map<string, S>, id: string, stream: string, decide: (state: S) => readonly F[] | Rejection, evolve: (state: S, event: Event<F>) => S,
  ): Promise<boolean> {
    const state = states.get(id)
    if (state === undefined) return false
    return decided(stream, state.revision, decide(state), (event) => { states.set(id, evolve(states.get(id) ?? state, event)) })
  }
  const ofUser = (id: string, command: UserCommand): Promise<boolean> => own<UserState, UserFact>(user, id, streams.user(id), (state) => decideUser(state, command), evolveUser)
  const ofRobot = (id: string, command: RobotCommand): Promise<boolean> => own<RobotState, RobotFact>(robot, id, streams.robot(id), (state) => decideRobot(state, command), evolveRobot)
  const ofProject = (id: string, command: ProjectCommand): Promise<boolean> =>
    own<ProjectState, ProjectFact>(project, id, streams.project(id), (state) => decideProject(state, command), evolveProject)

  const liveUsers = (): string[] => [...users.state.users.values()].filter(({ live }) => live).map(({ id }) => id)
  const somebody = (): string => random.pick(liveUsers()) ?? ''
  const someGroup = (): string => random.pick([...groups.state.groups.keys()]) ?? ''
  const someRobot = (): string => random.pick([...robots.state.robots.keys()]) ?? ''
  const someProject = (): string => random.pick([...projects.state.names.keys()]) ?? ''
  const secret = (): Promise<Sealed> => sealer.seal(SECRETS, `verifier ${random.uuid()}`)

  async function person(id: string): Promise<{ readonly clear: Person; readonly sealed: Sealed }> {
    const name = random.pick(NAMES) ?? ''
    const clear = {
      name: random.chance(0.5) ? name : `${name}-${random.below(30)}`,
      ...(random.chance(0.7) ? { email: `${name}${random.below(30)}@Example.org` } : {}),
      ...(random.chance(0.5) ? { realName: `${name} of "Example" \u{1F433}` } : {}),
      ...(random.chance(0.2) ? { comment: '' } : {}),
      ...(random.chance(0.3) ? { external: `uid=${name},ou=people,dc=example,dc=org` } : {}),
    }
    return { clear, sealed: await sealer.seal(id, JSON.stringify(clear)) }
  }

  async function createUser(): Promise<boolean> {
    if (liveUsers().length >= MAX_USERS) return ofUsers({ type: 'DeleteUser', user: somebody() })
    const id = tools.newcomer()
    // One who was forgotten has no key any more.
    if (users.state.users.has(id)) return false
    const source = random.pick(['local', 'ldap', 'oidc'] as const) ?? 'local'
    const verifier = source === 'local' ? { verifier: await secret() } : {}
    return ofUsers({ type: 'CreateUser', user: id, person: await person(id), source, ...verifier, administrator: random.chance(0.05) })
  }

  function createGroups(): Promise<boolean> {
    if (groups.state.groups.size >= MAX_GROUPS) return ofGroups({ type: 'DeleteGroup', group: someGroup() })
    const made = Array.from({ length: 1 + random.below(3) }, () => {
      const name = `Team ${random.below(20)}`
      const id = random.uuid()
      return random.chance(0.5) ? { id, name, source: 'oidc' as const } : { id, name, source: 'ldap' as const, dn: `cn=${name},ou=groups,dc=example,dc=org` }
    })
    return ofGroups({ type: 'CreateGroups', groups: made, ...(random.chance(0.5) ? { onlyNew: true } : {}) })
  }

  function terms(): RobotTerms {
    const access = [{ resource: 'repository', action: 'pull' }, ...(random.chance(0.5) ? [{ resource: 'repository', action: 'push' }] : [])]
    const workload = { issuer: 'https://ci.example.org', audience: 'varve', subject: `repo:team/${random.below(5)}:*`, claims: { ref: 'refs/heads/*' } }
    return {
      description: random.pick(['', 'of the nightly build', 'a "quoted" \u{1F916}']) ?? '',
      disabled: random.chance(0.2),
      expiresAt: random.chance(0.5) ? null : new Date(tools.now().getTime() + random.below(90 * 24 * 3_600_000)).toISOString(),
      permissions: [
        { kind: 'project', project: random.chance(0.3) ? '*' : someProject(), access },
        ...(random.chance(0.2) ? [{ kind: 'system' as const, access: [{ resource: 'user', action: 'list' }] }] : []),
      ],
      workloads: random.chance(0.3) ? [workload] : [],
    }
  }

  async function createRobot(): Promise<boolean> {
    if (robots.state.robots.size >= MAX_ROBOTS) return ofRobots({ type: 'DeleteRobot', robot: someRobot() })
    const where = random.chance(0.3) ? {} : { project: someProject() }
    return ofRobots({ type: 'CreateRobot', robot: random.uuid(), name: `ci-${random.below(8)}`, ...where, verifier: await secret(), terms: terms() })
  }

  /** Names come back, each for another project. */
  function createProject(): Promise<boolean> {
    if (projects.state.names.size >= tools.maxProjects) return deleteProject()
    const owner = random.chance(0.2) ? {} : { owner: somebody() }
    const metadata = random.chance(0.8) ? {} : { metadata: { [random.pick(METADATA) ?? '']: 'true' } }
    const name = `project-${random.below(tools.maxProjects)}`
    return ofProjects({ type: 'CreateProject', id: random.uuid(), name, ...owner, ...metadata, visibility: random.chance(0.2) ? 'public' : 'private' })
  }

  /** Now and then something stops it. */
  async function deleteProject(): Promise<boolean> {
    const id = someProject()
    if (projects.state.names.get(id) === 'library') return false
    await ofProjects({ type: 'BeginDeletion', id })
    return ofProjects(random.chance(0.2) ? { type: 'StopDeletion', id } : { type: 'DeleteProject', id, deletion: projects.state.deletions.get(id) })
  }

  /** Now and then one of whom nobody ever heard, or who is gone. */
  function someMember(id: string): Member {
    const known = random.pick([...(project.get(id)?.members.keys() ?? [])])?.split(':')
    if (known?.[1] !== undefined && random.chance(0.5)) return { kind: known[0] === 'group' ? 'group' : 'user', id: known[1] }
    const member: Member = random.chance(0.3) ? { kind: 'group', id: someGroup() } : { kind: 'user', id: somebody() }
    return member.id === '' ? { kind: 'user', id: random.uuid() } : member
  }

  async function changeSetting(): Promise<boolean> {
    const name = random.pick(SETTINGS) ?? ''
    const to = random.pick([true, false, 30, 'ldap://directory.example.org', null]) ?? null
    const from = settings.values.get(name) ?? null
    const fact = random.chance(0.2)
      ? SettingChanged({ name: 'ldap_search_password', secret: true, sealed: random.chance(0.3) ? null : await secret() })
      : SettingChanged({ name, from, to })
    if ('to' in fact.data) settings.values.set(name, to)
    await send(streams.settings, settings.revision, [fact], 'somebody')
    settings.revision += 1
    return true
  }

  async function makeKey(fact: Fact): Promise<boolean> {
    await send(streams.keys, keys.revision, [fact], 'system')
    keys.revision += 1
    return true
  }

  async function makeSigningKey(): Promise<boolean> {
    const publicKey = JSON.stringify({ kty: 'EC', crv: 'P-256', x: random.uuid(), y: random.uuid() })
    return makeKey(SigningKeyMade({ kid: random.uuid(), notBefore: tools.now().toISOString(), publicKey, privateKey: await secret() }))
  }

  /** By weight: how often each is tried. */
  const changes: readonly (readonly [number, () => Promise<boolean>])[] = [
    [14, createUser],
    [5, async () => { const id = somebody(); return ofUsers({ type: 'ChangePerson', user: id, person: await person(id), ...(random.chance(0.3) ? { moved: true } : {}) }) }],
    [4, () => ofUsers({ type: 'DeleteUser', user: somebody() })],
    // Also those who were deleted before.
    [tools.forget === undefined ? 0 : 4, () => ofUsers({ type: 'ForgetUser', user: random.pick([...users.state.users.keys()]) ?? '', shared: [] })],
    [6, () => ofUsers({ type: 'SetAdministrator', user: somebody(), administrator: random.chance(0.5) })],
    [8, () => ofUsers({ type: 'SetAuditor', user: somebody(), auditor: random.chance(0.5) })],
    [4, async () => ofUser(somebody(), { type: 'ChangePassword', verifier: await secret(), ...(random.chance(0.3) ? { upgraded: true } : {}) })],
    [2, async () => ofUser(somebody(), { type: 'ChangeCliSecret', verifier: await secret() })],
    [6, () => ofUser(somebody(), { type: 'ShowGroups', groups: [...groups.state.groups.keys()].filter(() => random.chance(0.3)) })],
    [6, createGroups],
    [3, () => ofGroups({ type: 'RenameGroup', group: someGroup(), name: `Team ${random.below(20)}` })],
    [2, () => ofGroups({ type: 'DeleteGroup', group: someGroup() })],
    [8, createRobot],
    [2, () => ofRobots({ type: 'DeleteRobot', robot: someRobot() })],
    [4, () => ofRobot(someRobot(), { type: 'ChangeRobot', changes: terms() })],
    [2, async () => ofRobot(someRobot(), { type: 'RefreshSecret', verifier: await secret() })],
    [6, createProject],
    [2, deleteProject],
    [4, () => ofProject(someProject(), { type: 'ChangeProject', visibility: random.chance(0.5) ? 'public' : 'private' })],
    [5, () => ofProject(someProject(), { type: 'ChangeProject', metadata: { [random.pick(METADATA) ?? '']: random.pick(['true', 'high', null]) ?? null } })],
    [14, () => { const id = someProject(); return ofProject(id, { type: 'AddMember', member: someMember(id), role: random.pick(ROLES) ?? 'guest' }) }],
    [6, () => { const id = someProject(); return ofProject(id, { type: 'ChangeMemberRole', member: someMember(id), role: random.pick(ROLES) ?? 'guest' }) }],
    [5, () => { const id = someProject(); return ofProject(id, { type: 'RemoveMember', member: someMember(id) }) }],
    [4, changeSetting],
    [1, makeSigningKey],
  ]
  const total = changes.reduce((sum, [weight]) => sum + weight, 0)

  return {
    /** A log's first events of this part, after LogNamed. Answers the administrator. */
    async begin(admin: string): Promise<void> {
      await send(streams.settings, -1, [RegistryCreated({ registry: random.uuid() }), RoleMatrixAdopted({ version: 1 })], 'system')
      settings.revision = 1
      await makeKey(VerifierKeyMade({ key: await secret() }))
      const clear = { name: 'admin' }
      await ofUsers({
        type: 'CreateUser', user: admin, person: { clear, sealed: await sealer.seal(admin, JSON.stringify(clear)) }, source: 'local', verifier: await secret(), administrator: true,
      })
      await ofProjects({ type: 'CreateProject', id: random.uuid(), name: 'library', owner: admin, visibility: 'private' })
      await makeSigningKey()
    },
    /** Does one thing that is not refused. */
    async change(): Promise<void> {
      for (;;) {
        let lot = random.below(total)
        const drawn = changes.find(([weight]) => (lot -= weight) < 0)
        if (await drawn?.[1]()) return
      }
    },
    createProject,
    /** The projects that live, by id. */
    projects: (): ReadonlyMap<string, string> => projects.state.names,
  }
}
