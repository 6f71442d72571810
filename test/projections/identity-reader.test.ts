import { randomUUID } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { GroupDeleted } from '../../src/commands/group/events.ts'
import { MemberAdded, MemberRemoved, ProjectCreated, ProjectDeleted, ProjectDeletionBegun, ProjectDeletionStopped, VisibilityChanged } from '../../src/commands/project/events.ts'
import { RobotChanged, RobotCreated, RobotDeleted, RobotSecretRefreshed } from '../../src/commands/robot/events.ts'
import type { RobotTerms } from '../../src/commands/robot/events.ts'
import { AdministratorRevoked, PasswordChanged, PersonChanged, SubjectForgotten, UserCreated, UserDeleted, UserGroupsChanged } from '../../src/commands/user/events.ts'
import type { Fact, Recorded } from '../../src/ports/event.ts'
import type { Sealed } from '../../src/ports/key-store.ts'
import { position } from '../../src/ports/position.ts'
import { folded } from '../../src/ports/same-name.ts'
import { streams } from '../../src/ports/streams.ts'
import type { IdentityQueries, ProjectRow, RobotRow, UserRow } from '../../src/projections/identity-queries.ts'
import { createIdentityReader } from '../../src/projections/identity-reader.ts'
import { eventOf } from '../storage/events/contract.ts'
import { interleavings } from '../support/interleavings.ts'

/*
 * The reader in front of tables that a test changes: whoever asks once an event was forgotten, which is before its position is called
 * visible, must see it, in whatever order reads began, looked, and came back.
 */

type Step =
  | 'first asks' | 'first looks' | 'first looks again' | 'first has it'
  | 'row changes' | 'event is forgotten' | 'row changes again' | 'next event is forgotten'
  | 'second asks'

/** Reads are by name, and so of up to two queries each: looked up, then read by id. */
const FIRST = ['first asks', 'first looks', 'first looks again', 'first has it'] as const
const CHANGES = [['row changes', 'event is forgotten', 'next event is forgotten'], ['row changes again'], ['second asks']] as const
const ORDER = new Map<Step, Step>([
  ['row changes again', 'row changes'],
  ['next event is forgotten', 'row changes again'],
  ['second asks', 'next event is forgotten'],
])

const sealed = 'sealed' as Sealed
const now = new Date('2026-01-01T00:00:00.000Z')
const id = (): string => randomUUID()

const projectOf = (name: string, more: Partial<ProjectRow> = {}): ProjectRow => ({
  id: id(), number: 1, name, visibility: 'private', owner: undefined, deletion: undefined, createdAt: now, updatedAt: now, members: new Map(), ...more,
})
const userOf = (name: string, more: Partial<UserRow> = {}): UserRow => ({
  id: id(), number: 1, source: 'local', name, email: undefined, realName: undefined, comment: undefined, external: undefined, verifier: sealed, credential: 'first',
  cliVerifier: undefined, cliCredential: undefined, administrator: false, administratorByDirectory: false, auditor: false, groups: [], createdAt: now, updatedAt: now, ...more,
})
const terms: RobotTerms = { description: '', disabled: false, expiresAt: null, permissions: [], workloads: [] }
const robotOf = (name: string, project: string | undefined, more: Partial<RobotRow> = {}): RobotRow => ({
  id: id(), number: 1, name, project, verifier: sealed, credential: 'first', description: '', disabled: false, expiresAt: undefined, permissions: [], workloads: [],
  creator: 'user:x', createdAt: now, updatedAt: now, ...more,
})

/** What the tables hold, and queries on them that look, and answer, when they are told to. */
function tables() {
  const held = { projects: [] as ProjectRow[], users: [] as UserRow[], robots: [] as RobotRow[] }
  const reads: { looked: boolean; look(): void; answer(): void }[] = []
  let slow = true
  function query<T>(find: () => T | undefined): Promise<T | undefined> {
    if (!slow) return Promise.resolve(find())
    const { promise, resolve } = Promise.withResolvers<T | undefined>()
    let seen: T | undefined
    const read = {
      looked: false,
      look() {
        if (!read.looked) seen = find()
        read.looked = true
      },
      answer() {
        read.look()
        resolve(seen)
      },
    }
    reads.push(read)
    return promise
  }
  const notAsked = (): never => {
    throw new Error('not asked here')
  }
  const queries = {
    projectById: (wanted: string) => query(() => held.projects.find((each) => each.id === wanted)),
    projectByName: (name: string) => query(() => held.projects.find((each) => each.name === name)),
    projectIdByNumber: (wanted: number) => query(() => held.projects.find((each) => each.number === wanted)?.id),
    user: (wanted: string) => query(() => held.users.find((each) => each.id === wanted)),
    userIdByName: (name: string) => query(() => held.users.find((each) => folded(each.name) === name)?.id),
    robot: (wanted: string) => query(() => held.robots.find((each) => each.id === wanted && (each.project === undefined || held.projects.some(({ id: of }) => of === each.project)))),
    robotIdByName: (name: string, project: string | undefined) => query(() => held.robots.find((each) => each.name === name && each.project === project)?.id),
  }
  function hurry(): void {
    slow = false
    for (const read of reads) read.answer()
  }
  return {
    held,
    reads,
    hurry,
    queries: new Proxy(queries, { get: (target, name) => Reflect.get(target, name) as unknown ?? notAsked }) as unknown as IdentityQueries,
  }
}

type Tables = ReturnType<typeof tables>
type Reader = ReturnType<typeof createIdentityReader>
type Scenario = {
  readonly what: string
  /** Puts the rows as they are at first, and says what happens to them, with the event of each, and what is asked and seen at the end. */
  readonly prepare: (held: Tables['held']) => {
    readonly changes: readonly { readonly change: () => void; readonly fact: Fact; readonly stream: string }[]
    readonly ask: (reader: Reader) => unknown
    readonly expected: () => unknown
    /** Where it is asked by name. */
    readonly name?: string
  }
}

const replace = <T extends { readonly id: string }>(rows: T[], changed: T): void => {
  rows.splice(rows.findIndex((row) => row.id === changed.id), 1, changed)
}
const remove = <T extends { readonly id: string }>(rows: T[], gone: T): void => {
  rows.splice(rows.findIndex((row) => row.id === gone.id), 1)
}
const userMade = (user: string): Fact => UserCreated({ user, number: 2, source: 'local', person: sealed, administrator: false })
const personChanged = (user: string): Fact => PersonChanged({ user, from: sealed, to: sealed })
const projectMade = ({ id: project, name }: ProjectRow): Fact => ProjectCreated({ project, number: 2, name, visibility: 'private' })
const robotMade = ({ id: robot, name, project }: RobotRow): Fact => RobotCreated({ robot, number: 2, name, ...(project === undefined ? {} : { project }), verifier: sealed, ...terms })

const scenarios: readonly Scenario[] = [
  {
    what: 'a project made, and made public',
    prepare(held) {
      const made = projectOf('team')
      const open = { ...made, visibility: 'public' as const }
      return {
        changes: [
          { change: () => held.projects.push(made), fact: projectMade(made), stream: streams.projects },
          { change: () => { replace(held.projects, open) }, fact: VisibilityChanged({ from: 'private', to: 'public' }), stream: streams.project(made.id) },
        ],
        ask: (reader) => reader.project('team'),
        expected: () => open,
      }
    },
  },
  {
    what: 'a project made, asked for by its number, and made public',
    prepare(held) {
      const made = projectOf('team', { number: 2 })
      const open = { ...made, visibility: 'public' as const }
      return {
        changes: [
          { change: () => held.projects.push(made), fact: projectMade(made), stream: streams.projects },
          { change: () => { replace(held.projects, open) }, fact: VisibilityChanged({ from: 'private', to: 'public' }), stream: streams.project(made.id) },
        ],
        ask: (reader) => reader.projectByNumber(2),
        expected: () => open,
      }
    },
  },
  {
    what: 'a deletion of a project begun and stopped',
    prepare(held) {
      const project = projectOf('team')
      const ending = { ...project, deletion: id() }
      held.projects.push(project)
      return {
        changes: [
          { change: () => { replace(held.projects, ending) }, fact: ProjectDeletionBegun({ project: project.id }), stream: streams.projects },
          { change: () => { replace(held.projects, project) }, fact: ProjectDeletionStopped({ project: project.id }), stream: streams.projects },
        ],
        ask: (reader) => reader.projectById(project.id),
        expected: () => project,
      }
    },
  },
  {
    what: 'a project deleted and another made of its name',
    prepare(held) {
      const [old, young] = [projectOf('team'), projectOf('team')]
      held.projects.push(old)
      return {
        changes: [
          { change: () => { remove(held.projects, old) }, fact: ProjectDeleted({ project: old.id }), stream: streams.projects },
          { change: () => held.projects.push(young), fact: projectMade(young), stream: streams.projects },
        ],
        ask: (reader) => reader.project('team'),
        expected: () => young,
      }
    },
  },
  {
    what: 'a member added to a project and removed',
    prepare(held) {
      const project = projectOf('team')
      held.projects.push(project)
      const member = { kind: 'user' as const, id: id() }
      return {
        changes: [
          { change: () => { replace(held.projects, { ...project, members: new Map([[`user:${member.id}`, 'guest' as const]]) }) }, fact: MemberAdded({ member, role: 'guest' }), stream: streams.project(project.id) },
          { change: () => { replace(held.projects, project) }, fact: MemberRemoved({ member, role: 'guest' }), stream: streams.project(project.id) },
        ],
        ask: (reader) => reader.project('team'),
        expected: () => project,
      }
    },
  },
  {
    what: 'a group deleted that was a member',
    prepare(held) {
      const group = id()
      const project = projectOf('team', { members: new Map([[`group:${group}`, 'maintainer']]) })
      held.projects.push(project)
      const without = { ...project, members: new Map() }
      return {
        changes: [
          { change: () => { replace(held.projects, without) }, fact: GroupDeleted({ group }), stream: streams.groups },
          { change: () => undefined, fact: VisibilityChanged({ from: 'private', to: 'public' }), stream: streams.project(id()) },
        ],
        ask: (reader) => reader.projectById(project.id),
        expected: () => without,
      }
    },
  },
  {
    what: 'a user created and renamed to what is asked',
    prepare(held) {
      const made = userOf('Bob')
      const renamed = { ...made, name: 'Robert' }
      return {
        changes: [
          { change: () => held.users.push(made), fact: userMade(made.id), stream: streams.users },
          { change: () => { replace(held.users, renamed) }, fact: personChanged(made.id), stream: streams.users },
        ],
        ask: (reader) => reader.userByName('ROBERT'),
        expected: () => renamed,
      }
    },
  },
  {
    what: 'a user renamed and another created under the old name',
    prepare(held) {
      const [old, young] = [userOf('bob'), userOf('Bob')]
      held.users.push(old)
      return {
        changes: [
          { change: () => { replace(held.users, { ...old, name: 'robert' }) }, fact: personChanged(old.id), stream: streams.users },
          { change: () => held.users.push(young), fact: userMade(young.id), stream: streams.users },
        ],
        name: 'bob',
        ask: (reader) => reader.userByName('bob'),
        expected: () => young,
      }
    },
  },
  {
    what: 'two users who swap a name',
    prepare(held) {
      const [one, other] = [userOf('bob'), userOf('carol')]
      held.users.push(one, other)
      const taken = { ...other, name: 'bob' }
      return {
        changes: [
          { change: () => { replace(held.users, { ...one, name: 'x' }) }, fact: personChanged(one.id), stream: streams.users },
          { change: () => { replace(held.users, taken) }, fact: personChanged(other.id), stream: streams.users },
        ],
        name: 'bob',
        ask: (reader) => reader.userByName('bob'),
        expected: () => taken,
      }
    },
  },
  {
    what: 'a user whose password changes, and who is forgotten',
    prepare(held) {
      const user = userOf('bob', { administrator: true })
      held.users.push(user)
      return {
        changes: [
          { change: () => { replace(held.users, { ...user, credential: 'second' }) }, fact: PasswordChanged({ verifier: sealed }), stream: streams.user(user.id) },
          { change: () => { remove(held.users, user) }, fact: SubjectForgotten({ user: user.id }), stream: streams.users },
        ],
        ask: (reader) => reader.user(user.id),
        expected: () => undefined,
      }
    },
  },
  {
    what: 'a user who leaves a group and is no administrator any more',
    prepare(held) {
      const user = userOf('bob', { administrator: true, groups: ['g'] })
      held.users.push(user)
      const less = { ...user, groups: [] }
      const least = { ...less, administrator: false }
      return {
        changes: [
          { change: () => { replace(held.users, less) }, fact: UserGroupsChanged({ from: [id()], to: [] }), stream: streams.user(user.id) },
          { change: () => { replace(held.users, least) }, fact: AdministratorRevoked({ user: user.id }), stream: streams.users },
        ],
        name: 'bob',
        ask: (reader) => reader.userByName('bob'),
        expected: () => least,
      }
    },
  },
  {
    what: 'a user deleted, and the name given to another',
    prepare(held) {
      const [old, young] = [userOf('bob'), userOf('bob')]
      held.users.push(old)
      return {
        changes: [
          { change: () => { remove(held.users, old) }, fact: UserDeleted({ user: old.id }), stream: streams.users },
          { change: () => held.users.push(young), fact: userMade(young.id), stream: streams.users },
        ],
        name: 'bob',
        ask: (reader) => reader.userByName('bob'),
        expected: () => young,
      }
    },
  },
  {
    what: 'a robot deleted and another made of its name',
    prepare(held) {
      const [old, young] = [robotOf('ci', undefined), robotOf('ci', undefined)]
      held.robots.push(old)
      return {
        changes: [
          { change: () => { remove(held.robots, old) }, fact: RobotDeleted({ robot: old.id }), stream: streams.robots },
          { change: () => held.robots.push(young), fact: robotMade(young), stream: streams.robots },
        ],
        ask: (reader) => reader.robotByName('ci', undefined),
        expected: () => young,
      }
    },
  },
  {
    what: 'a robot made, and disabled',
    prepare(held) {
      const project = projectOf('team')
      held.projects.push(project)
      const made = robotOf('ci', project.id)
      const disabled = { ...made, disabled: true }
      return {
        changes: [
          { change: () => held.robots.push(made), fact: robotMade(made), stream: streams.robots },
          { change: () => { replace(held.robots, disabled) }, fact: RobotChanged({ from: terms, to: { ...terms, disabled: true } }), stream: streams.robot(made.id) },
        ],
        ask: (reader) => reader.robotByName('ci', project.id),
        expected: () => disabled,
      }
    },
  },
  {
    what: 'a robot whose secret is refreshed and whose project is deleted',
    prepare(held) {
      const project = projectOf('team')
      const robot = robotOf('ci', project.id)
      held.projects.push(project)
      held.robots.push(robot)
      return {
        changes: [
          { change: () => { replace(held.robots, { ...robot, credential: 'second' }) }, fact: RobotSecretRefreshed({ verifier: sealed }), stream: streams.robot(robot.id) },
          { change: () => { remove(held.projects, project) }, fact: ProjectDeleted({ project: project.id }), stream: streams.projects },
        ],
        ask: (reader) => reader.robot(robot.id),
        expected: () => undefined,
      }
    },
  },
]

let number = 0
function recorded(fact: Fact, stream: string): Recorded {
  number += 1
  return { event: eventOf(fact), stream, revision: number, position: position('contract', number), hash: '' }
}

function isOfName(found: unknown, name: string): boolean {
  return found === undefined || (typeof found === 'object' && found !== null && 'name' in found && folded(String(found.name)) === name)
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await Promise.resolve()
}

describe('the identity reader', () => {
  it.each(scenarios)('shows $what to all who ask after it, in whatever order it is read and told', async ({ prepare }) => {
    // One reader, since its memories are large; each order has rows of its own, and nothing is remembered from one to the next.
    let current = tables()
    const reader = createIdentityReader(() => current.queries)
    let count = 0
    for (const remembered of [false, true]) {
      for (const steps of interleavings<Step>([FIRST, ...CHANGES], ORDER)) {
        reader.clear()
        current = tables()
        const { held, reads } = current
        const { changes, ask, expected, name } = prepare(held)
        const asked: unknown[] = []
        if (remembered) {
          // Somebody has asked before: names and things are in memory as they were.
          const before = ask(reader)
          for (let each = 0; each < 3; each += 1) {
            await turns()
            for (const read of reads) read.answer()
          }
          await before
        }
        let late: unknown
        const act: Record<Step, () => void> = {
          'first asks': () => { asked.push(ask(reader)) },
          'first looks': () => { reads.at(-1)?.look() },
          'first looks again': () => { reads.at(-1)?.answer() },
          'first has it': () => { for (const read of reads) read.answer() },
          'row changes': () => { changes[0]?.change() },
          'row changes again': () => { changes[1]?.change() },
          'event is forgotten': () => { if (changes[0] !== undefined) reader.forget(recorded(changes[0].fact, changes[0].stream)) },
          'next event is forgotten': () => { if (changes[1] !== undefined) reader.forget(recorded(changes[1].fact, changes[1].stream)) },
          'second asks': () => { late = ask(reader) },
        }
        for (const step of steps) {
          act[step]()
          await turns()
        }
        current.hurry()
        // Whoever asked before may get what was or what is, but nothing of another name.
        for (const found of await Promise.all(asked)) if (name !== undefined && !isOfName(found, name)) expect({ steps, remembered, found }).toMatchObject({ found: { name } })
        const [seen, final] = [await late, await ask(reader)]
        for (const found of [seen, final]) if (found !== expected()) expect({ steps, remembered, found }).toEqual({ steps, remembered, found: expected() })
        count += 1
      }
    }
    expect(count).toBeGreaterThan(200)
  })

  it('asks nothing of what it has in memory, by whatever spelling of a name', async () => {
    const { held, queries, reads, ...slow } = tables()
    const user = userOf('Èva')
    held.users.push(user)
    slow.hurry()
    let asked = 0
    const counted = new Proxy(queries, {
      get(target, name) {
        asked += 1
        return Reflect.get(target, name) as unknown
      },
    })
    const reader = createIdentityReader(() => counted)
    expect(await reader.userByName('èva')).toBe(user)
    expect(asked).toBe(2)
    expect(await reader.userByName('E\u0300VA')).toBe(user)
    expect(await reader.user(user.id)).toBe(user)
    expect(asked).toBe(2)
    expect(reads).toHaveLength(0)
  })
})
