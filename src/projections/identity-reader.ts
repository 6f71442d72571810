import type { Recorded } from '../ports/event.ts'
import type { Sealed } from '../ports/key-store.ts'
import { folded } from '../ports/same-name.ts'
import { idOfStream, isActivity, isIdentity, stateFact } from './facts.ts'
import type { IdentityQueries, KeyRow, ProjectRow, RobotRow, UserRow } from './identity-queries.ts'
import { createMemory } from './memory.ts'
import type { MaybeLater, Memory } from './memory.ts'

const MAX_PROJECTS = 10_000
const MAX_SUBJECTS = 100_000

type Id = { readonly id: string }
export type Settings = ReadonlyMap<string, { readonly value: unknown } | { readonly sealed: Sealed }>

export type IdentityReader = ReturnType<typeof createIdentityReader>

/**
 * What every request asks of who there is and who may do what: in memory where it was asked before, else one indexed read. `forget`
 * takes each event of the state lane once its rows are committed, before its position is called visible: so what was taken away is
 * refused from the answer on that says so.
 */
export function createIdentityReader(queries: () => IdentityQueries) {
  /**
   * Names lead to ids. One that came to stand for another is found by looking at the thing itself; a look under way, which a new name
   * may have come too late for, is dropped by the event that gives it, and not shared with those who ask after that.
   */
  const projectIds = createMemory<Id>(MAX_PROJECTS)
  const userIds = createMemory<Id>(MAX_SUBJECTS)
  const robotIds = createMemory<Id>(MAX_SUBJECTS)
  const projects = createMemory<ProjectRow>(MAX_PROJECTS)
  const users = createMemory<UserRow>(MAX_SUBJECTS)
  const robots = createMemory<RobotRow>(MAX_SUBJECTS)
  const keys = createMemory<readonly KeyRow[]>(1)
  const settings = createMemory<Settings>(1)

  /** What a name stands for: by the remembered id where that still has the name, else by a look. */
  function byName<T extends Id>(
    key: string,
    ids: Memory<Id>,
    things: Memory<T>,
    hasName: (thing: T) => boolean,
    find: () => Promise<string | undefined>,
    read: (id: string) => MaybeLater<T>,
  ): MaybeLater<T> {
    const remembered = ids.peek(key)
    const known = remembered && things.peek(remembered.id)
    return known !== undefined && hasName(known) ? known : look()

    async function look(): Promise<T | undefined> {
      const held = remembered && (await read(remembered.id))
      if (held !== undefined && hasName(held)) return held
      // Not a look that is under way: all who ask at once share it, or a storm of them would be one of statements.
      if (remembered !== undefined) ids.drop(key)
      const found = await ids.get(key, async () => asId(await find()))
      const thing = found && (await read(found.id))
      return thing !== undefined && hasName(thing) ? thing : undefined
    }
  }

  const reader = {
    projectById: (id: string): MaybeLater<ProjectRow> => projects.get(id, () => queries().projectById(id)),

    project: (name: string): MaybeLater<ProjectRow> =>
      byName(name, projectIds, projects, (project) => project.name === name, async () => (await queries().projectByName(name))?.id, reader.projectById),

    async projectByNumber(number: number): Promise<ProjectRow | undefined> {
      const found = await projectIds.get(numberKey(number), async () => asId(await queries().projectIdByNumber(number)))
      return found && reader.projectById(found.id)
    },

    user: (id: string): MaybeLater<UserRow> => users.get(id, () => queries().user(id)),

    userByName(name: string): MaybeLater<UserRow> {
      const key = folded(name)
      return byName(key, userIds, users, (user) => folded(user.name) === key, () => queries().userIdByName(key), reader.user)
    },

    robot: (id: string): MaybeLater<RobotRow> => robots.get(id, () => queries().robot(id)),

    robotByName(name: string, project: string | undefined): MaybeLater<RobotRow> {
      const hasName = (robot: RobotRow): boolean => robot.name === name && robot.project === project
      return byName(robotKey(name, project), robotIds, robots, hasName, () => queries().robotIdByName(name, project), reader.robot)
    },

    async signingKeys(): Promise<readonly KeyRow[]> {
      return (await keys.get('', () => queries().signingKeys())) ?? []
    },

    async settings(): Promise<Settings> {
      return (await settings.get('', () => queries().settings())) ?? new Map()
    },

    /** Answers the id of the user or robot that the event changes. */
    forget({ event, stream }: Recorded): string | undefined {
      if (isActivity(event)) return undefined
      const fact = stateFact(event)
      if (!isIdentity(fact)) return undefined
      switch (fact.type) {
        case 'RegistryCreated':
        case 'RoleMatrixAdopted':
        case 'VerifierKeyMade':
        case 'GroupCreated':
        case 'GroupRenamed':
          return undefined
        case 'SettingChanged':
          settings.drop('')
          return undefined
        case 'SigningKeyMade':
          keys.drop('')
          return undefined
        case 'UserCreated':
        case 'PersonChanged':
          users.drop(fact.data.user)
          // The name is sealed: a look for it that is under way may be any.
          userIds.dropReads()
          return fact.data.user
        case 'UserDeleted':
        case 'SubjectForgotten':
        case 'AdministratorGranted':
        case 'AdministratorRevoked':
        case 'AuditorGranted':
        case 'AuditorRevoked':
          users.drop(fact.data.user)
          return fact.data.user
        case 'PasswordChanged':
        case 'CliSecretChanged':
        case 'UserGroupsChanged':
          users.drop(idOfStream(stream))
          return idOfStream(stream)
        case 'GroupDeleted':
          // Seldom, and a group may be a member of any project.
          users.clear()
          projects.clear()
          return undefined
        case 'RobotCreated':
          robots.drop(fact.data.robot)
          robotIds.drop(robotKey(fact.data.name, fact.data.project))
          return fact.data.robot
        case 'RobotDeleted':
          robots.drop(fact.data.robot)
          return fact.data.robot
        case 'RobotChanged':
        case 'RobotSecretRefreshed':
          robots.drop(idOfStream(stream))
          return idOfStream(stream)
        case 'ProjectCreated':
          projects.drop(fact.data.project)
          projectIds.drop(fact.data.name)
          projectIds.drop(numberKey(fact.data.number))
          return undefined
        case 'ProjectDeletionBegun':
        case 'ProjectDeletionStopped':
          projects.drop(fact.data.project)
          return undefined
        case 'ProjectDeleted':
          projects.drop(fact.data.project)
          // Its robots end with it.
          robots.clear()
          return undefined
        case 'VisibilityChanged':
        case 'MetadataChanged':
        case 'MemberAdded':
        case 'MemberRoleChanged':
        case 'MemberRemoved':
          projects.drop(idOfStream(stream))
          return undefined
      }
    },

    /** When another version of the read models goes live. */
    clear(): void {
      for (const memory of [projectIds, userIds, robotIds, projects, users, robots, keys, settings]) memory.clear()
    },
  }
  return reader
}

/** No project has such a name. */
function numberKey(number: number): string {
  return `#${number}`
}

function robotKey(name: string, project: string | undefined): string {
  return `${project ?? ''} ${name}`
}

function asId(id: string | undefined): Id | undefined {
  return id === undefined ? undefined : { id }
}
