import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Pool } from 'pg'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { groupsAggregate } from '../../src/commands/group/aggregate.ts'
import { GroupCreated, GroupDeleted, GroupRenamed } from '../../src/commands/group/events.ts'
import type { Aggregate } from '../../src/commands/handle.ts'
import { SigningKeyMade, VerifierKeyMade } from '../../src/commands/keys/events.ts'
import { projectAggregate, projectsAggregate } from '../../src/commands/project/aggregate.ts'
import { MemberAdded, MemberRemoved, MemberRoleChanged, MetadataChanged, ProjectCreated, ProjectDeleted, VisibilityChanged } from '../../src/commands/project/events.ts'
import type { Member } from '../../src/commands/project/events.ts'
import type { Rejection } from '../../src/commands/rejection.ts'
import { robotAggregate, robotsAggregate } from '../../src/commands/robot/aggregate.ts'
import { RobotChanged, RobotCreated, RobotDeleted, RobotSecretRefreshed } from '../../src/commands/robot/events.ts'
import type { RobotTerms } from '../../src/commands/robot/events.ts'
import { SettingChanged } from '../../src/commands/settings/events.ts'
import { sealPerson, userAggregate, usersAggregate } from '../../src/commands/user/aggregate.ts'
import {
  AdministratorGranted, AuditorGranted, CliSecretChanged, PasswordChanged, PersonChanged, SubjectForgotten, UserCreated, UserDeleted, UserGroupsChanged,
} from '../../src/commands/user/events.ts'
import type { Person } from '../../src/commands/user/events.ts'
import type { DecisionRows } from '../../src/ports/decision-rows.ts'
import type { Event, Fact, Recorded } from '../../src/ports/event.ts'
import { SECRETS } from '../../src/ports/key-store.ts'
import { position } from '../../src/ports/position.ts'
import type { Position } from '../../src/ports/position.ts'
import { groupKey } from '../../src/ports/same-name.ts'
import { streams } from '../../src/ports/streams.ts'
import { stateFact } from '../../src/projections/facts.ts'
import { identityDecisionRows, identityQueries } from '../../src/projections/identity-queries.ts'
import type { PrivatePart } from '../../src/projections/projection.ts'
import { catalogueGroup, createVersion, prepareRegister, schemaName } from '../../src/projections/read-models.ts'
import { openFolder } from '../../src/projections/runner.ts'
import { createRows } from '../../src/projections/versioned-queries.ts'
import { createMemoryLog } from '../../src/storage/events/memory.ts'
import { createPool } from '../../src/storage/postgres/pool.ts'
import { eventOf } from '../storage/events/contract.ts'
import { noRows } from '../support/decision-rows.ts'
import { createPlainSealer, generateHistory, memoryBlobs } from '../support/history.ts'
import { testDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'

const AT = new Date('2026-01-01T00:00:00.000Z')
const terms: RobotTerms = { description: 'pulls', disabled: false, expiresAt: '2027-01-01T00:00:00.000Z', permissions: [{ kind: 'project', project: '*', access: [{ resource: 'repository', action: 'pull' }] }], workloads: [] }
const user = (id: string): Member => ({ kind: 'user', id })
const group = (id: string): Member => ({ kind: 'group', id })

describe('identity in Postgres', () => {
  const sealer = createPlainSealer()
  let database: TestDatabase
  let pool: Pool
  beforeAll(async () => {
    database = await testDatabase()
    pool = createPool({ ...database.connection, max: 4, pipeline: true })
    await prepareRegister(pool)
  })
  afterAll(async () => {
    await pool.end()
    await database.drop()
  })

  /** Empty read models of their own, what folds into them, and what asks them. */
  async function empty() {
    const schema = schemaName(await createVersion(pool))
    const folder = await openFolder(pool, schema, catalogueGroup, {
      manifest: () => Promise.resolve(undefined),
      async openPrivate(sealed) {
        const clear = await sealer.open(sealed)
        return clear === undefined ? undefined : (JSON.parse(clear) as PrivatePart)
      },
      forgotten: (subject) => sealer.forget(subject),
    })
    const rows = createRows(pool, () => schema)
    const revisions = new Map<string, number>()
    let last = 0
    function next(): Position {
      last += 1
      return position('queries0', last)
    }
    /** Folds what happened in a stream. Answers the id of the last event. */
    async function happened(stream: string, ...facts: readonly Fact[]): Promise<string> {
      const recorded = facts.map((fact): Recorded => {
        const revision = (revisions.get(stream) ?? -1) + 1
        revisions.set(stream, revision)
        return { event: eventOf(fact), stream, revision, position: next(), hash: '' }
      })
      await folder.commit(recorded, position('queries0', last))
      return recorded.at(-1)?.event.id ?? ''
    }
    return {
      folder,
      queries: identityQueries(rows),
      decisionRows: { ...noRows, ...identityDecisionRows(rows) } satisfies DecisionRows,
      happened,
    }
  }

  async function made(number: number, clear: Person, administrator = false) {
    const id = randomUUID()
    const { sealed } = await sealPerson(sealer, id, clear)
    return { id, sealed, fact: UserCreated({ user: id, number, source: 'local', person: sealed, verifier: await sealer.seal(SECRETS, 'first'), administrator }) }
  }

  describe('users', () => {
    it('are found by id, name and number, with what was last said of them', async () => {
      const { happened, queries } = await empty()
      const alice = await made(1, { name: 'Alice', email: 'Alice@example.org' }, true)
      const created = await happened(streams.users, alice.fact)
      expect(await queries.user(alice.id)).toMatchObject({ id: alice.id, number: 1, name: 'Alice', email: 'Alice@example.org', administrator: true, credential: created, groups: [], createdAt: AT })
      const verifier = await sealer.seal(SECRETS, 'second')
      const [team, cli] = [randomUUID(), await sealer.seal(SECRETS, 'cli')]
      const changed = await happened(streams.user(alice.id), UserGroupsChanged({ from: [], to: [team] }), PasswordChanged({ verifier }))
      const better = await sealer.seal(SECRETS, 'third')
      const cliChanged = await happened(streams.user(alice.id), PasswordChanged({ verifier: better, upgraded: true }), CliSecretChanged({ verifier: cli }))
      // The same password under another scheme ends nothing.
      expect(await queries.user(alice.id)).toMatchObject({ verifier: better, credential: changed, cliVerifier: cli, cliCredential: cliChanged, groups: [team] })
      const to = (await sealPerson(sealer, alice.id, { name: 'Ａlice2' })).sealed
      await happened(streams.users, PersonChanged({ user: alice.id, from: alice.sealed, to }), AuditorGranted({ user: alice.id }))
      expect(await queries.user(alice.id)).toMatchObject({ name: 'Ａlice2', email: undefined, auditor: true })
      expect(await queries.userIdByName('alice2')).toBe(alice.id)
      expect(await queries.userIdByName('alice')).toBeUndefined()
    })

    it('who were deleted or forgotten are nobody, and their names are free', async () => {
      const { happened, queries, decisionRows } = await empty()
      const [alice, bob] = [await made(1, { name: 'alice', email: 'a@example.org' }, true), await made(2, { name: 'bob', email: 'b@example.org' }, true)]
      await happened(streams.users, alice.fact, bob.fact)
      await happened(streams.users, UserDeleted({ user: alice.id }), SubjectForgotten({ user: bob.id }))
      for (const { id } of [alice, bob]) expect(await queries.user(id)).toBeUndefined()
      for (const name of ['alice', 'bob']) expect(await queries.userIdByName(name)).toBeUndefined()
      const asked = await decisionRows.users({ id: bob.id, name: 'alice', email: 'a@example.org' })
      expect(asked).toEqual({ revision: 3, lastNumber: 2, administrators: [], users: [{ id: bob.id, live: false, forgotten: true, administrator: false, auditor: false, sealed: bob.sealed }] })
      const again = await made(3, { name: 'ALICE' })
      await happened(streams.users, again.fact)
      expect(await queries.userIdByName('alice')).toBe(again.id)
    })

    it('are given to a decision by id, name and address, with all administrators', async () => {
      const { happened, decisionRows } = await empty()
      const [alice, bob, carol] = [await made(1, { name: 'alice' }, true), await made(2, { name: 'bob', email: 'Bob@example.org' }), await made(3, { name: 'carol' })]
      await happened(streams.users, alice.fact, bob.fact, carol.fact, AdministratorGranted({ user: carol.id }))
      const found = await decisionRows.users({ id: randomUUID(), name: 'alice', email: 'bob@example.org' })
      expect(found.users.map(({ id }) => id).sort()).toEqual([alice.id, bob.id].sort())
      expect([...found.administrators].sort()).toEqual([alice.id, carol.id].sort())
      expect(await decisionRows.users({ id: randomUUID(), name: undefined, email: undefined })).toMatchObject({ revision: 3, lastNumber: 3, users: [] })
    })

    it('whose key is destroyed before the log says so can still be forgotten', async () => {
      const { happened, queries, decisionRows } = await empty()
      const alice = await made(1, { name: 'alice' })
      await sealer.forget(alice.id)
      await happened(streams.users, alice.fact)
      expect(await queries.user(alice.id)).toMatchObject({ name: '' })
      const aggregate = usersAggregate(decisionRows, sealer)
      const command = { type: 'ForgetUser', user: alice.id, shared: [] } as const
      expect(aggregate.decide(await aggregate.load(command), command)).toStrictEqual([SubjectForgotten({ user: alice.id })])
    })
  })

  describe('groups', () => {
    it('are given to a decision by id and key while they live', async () => {
      const { happened, decisionRows, queries } = await empty()
      const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()]
      await happened(
        streams.groups, GroupCreated({ group: first, number: 1, name: 'Team', source: 'oidc' }), GroupCreated({ group: second, number: 2, name: 'Team', source: 'ldap', dn: 'CN=Team' }),
        GroupCreated({ group: third, number: 3, name: 'gone', source: 'oidc' }), GroupDeleted({ group: third }),
        GroupRenamed({ group: first, source: 'oidc', from: 'Team', to: 'Crew' }), GroupRenamed({ group: second, source: 'ldap', from: 'Team', to: 'Crew' }),
      )
      const keys = [groupKey({ source: 'oidc', name: 'Crew' }), groupKey({ source: 'ldap', name: '', dn: 'cn=team' }), groupKey({ source: 'oidc', name: 'Team' })]
      const found = await decisionRows.groups({ ids: [third], keys })
      expect({ ...found, groups: [...found.groups].sort((a, b) => (a.key < b.key ? -1 : 1)) }).toEqual({
        revision: 5, lastNumber: 3, groups: [{ id: second, key: 'ldap:cn=team', name: 'Crew' }, { id: first, key: 'oidc:Crew', name: 'Crew' }],
      })
      expect(await queries.groupIdByKey('oidc:gone')).toBeUndefined()
      expect(await queries.groupIdByKey('oidc:Crew')).toBe(first)
    })

    it('that were deleted give nothing to their members, and the same group made again neither', async () => {
      const { happened, queries } = await empty()
      const [project, gone, stays, owner] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      await happened(streams.groups, GroupCreated({ group: gone, number: 1, name: 'a', source: 'oidc' }), GroupCreated({ group: stays, number: 2, name: 'b', source: 'oidc' }))
      await happened(streams.projects, ProjectCreated({ project, number: 1, name: 'team', visibility: 'private', owner }))
      await happened(streams.project(project), MemberAdded({ member: group(gone), role: 'maintainer' }), MemberAdded({ member: group(stays), role: 'guest' }))
      const before = new Map([[`user:${owner}`, 'projectAdmin'], [`group:${gone}`, 'maintainer'], [`group:${stays}`, 'guest']])
      expect((await queries.projectById(project))?.members).toEqual(before)
      await happened(streams.groups, GroupDeleted({ group: gone }), GroupCreated({ group: randomUUID(), number: 3, name: 'a', source: 'oidc' }))
      before.delete(`group:${gone}`)
      expect((await queries.projectById(project))?.members).toEqual(before)
      expect((await queries.projectByName('team'))?.members).toEqual(before)
      expect((await queries.projectsInReach([`group:${stays}`], [])).map(({ members }) => members)).toEqual([before])
    })
  })

  describe('projects', () => {
    it('are found by name, id and number while they live; a name made again is another one\'s', async () => {
      const { happened, queries, decisionRows } = await empty()
      const [first, second] = [randomUUID(), randomUUID()]
      await happened(streams.projects, ProjectCreated({ project: first, number: 1, name: 'team', visibility: 'public' }))
      expect(await queries.projectByName('team')).toEqual({ id: first, number: 1, name: 'team', visibility: 'public', owner: undefined, deletion: undefined, createdAt: AT, updatedAt: AT, members: new Map() })
      await happened(streams.projects, ProjectDeleted({ project: first }))
      expect(await queries.projectByName('team')).toBeUndefined()
      expect(await decisionRows.projects({ name: 'team' })).toEqual({ revision: 1, lastNumber: 1, names: new Map(), deletions: new Map() })
      await happened(streams.projects, ProjectCreated({ project: second, number: 2, name: 'team', visibility: 'private' }))
      expect((await queries.projectByName('team'))?.id).toBe(second)
      expect(await queries.projectById(first)).toBeUndefined()
      expect(await decisionRows.projects({ name: 'team' })).toEqual({ revision: 2, lastNumber: 2, names: new Map([[second, 'team']]), deletions: new Map() })
      expect(await decisionRows.projects({ id: first })).toEqual({ revision: 2, lastNumber: 2, names: new Map(), deletions: new Map() })
      expect(await queries.projectIdByNumber(1)).toBe(first)
    })

    it('are in reach where they are public, named, or have one as a member', async () => {
      const { happened, queries } = await empty()
      const [open, mine, named, others, dead] = [randomUUID(), randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      const [me, somebody] = [randomUUID(), randomUUID()]
      const created = (project: string, number: number, visibility: 'public' | 'private', owner: string) => ProjectCreated({ project, number, name: `p${number}`, visibility, owner })
      await happened(
        streams.projects, created(open, 1, 'public', somebody), created(mine, 2, 'private', me), created(named, 3, 'private', somebody), created(others, 4, 'private', somebody),
        created(dead, 5, 'public', me), ProjectDeleted({ project: dead }),
      )
      const reach = async (members: readonly string[], ids: readonly string[]) => (await queries.projectsInReach(members, ids)).map(({ number }) => number).sort()
      expect(await reach([`user:${me}`], [])).toEqual([1, 2])
      expect(await reach([], [named, dead])).toEqual([1, 3])
      expect(await reach([], ['*'])).toEqual([1, 2, 3, 4])
      await happened(streams.project(mine), MemberRemoved({ member: user(me), role: 'projectAdmin' }))
      await happened(streams.project(open), VisibilityChanged({ from: 'public', to: 'private' }))
      await happened(streams.project(others), MemberAdded({ member: user(me), role: 'guest' }))
      expect(await reach([`user:${me}`], [])).toEqual([4])
    })

    it('give a decision the members it names, and all metadata that is set', async () => {
      const { happened, decisionRows } = await empty()
      const [project, owner, guest] = [randomUUID(), randomUUID(), randomUUID()]
      await happened(streams.projects, ProjectCreated({ project, number: 1, name: 'team', visibility: 'private', owner, metadata: { c: '3' } }))
      expect(await decisionRows.project(project, [`user:${owner}`])).toEqual({
        revision: -1, live: true, visibility: 'private', members: [{ member: `user:${owner}`, role: 'projectAdmin' }], metadata: new Map([['c', '3']]),
      })
      await happened(
        streams.project(project), MemberAdded({ member: user(guest), role: 'guest' }), MemberRoleChanged({ member: user(guest), from: 'guest', to: 'developer' }),
        MemberRemoved({ member: user(owner), role: 'projectAdmin' }), MetadataChanged({ name: 'a', from: null, to: '1' }), MetadataChanged({ name: 'b', from: null, to: '2' }),
        MetadataChanged({ name: 'b', from: '2', to: null }), VisibilityChanged({ from: 'private', to: 'public' }),
      )
      expect(await decisionRows.project(project, [`user:${owner}`, `user:${guest}`, `group:${guest}`])).toEqual({
        revision: 6, live: true, visibility: 'public', members: [{ member: `user:${guest}`, role: 'developer' }], metadata: new Map([['c', '3'], ['a', '1']]),
      })
      expect(await decisionRows.project(randomUUID(), [])).toEqual({ revision: -1, live: false, visibility: 'private', members: [], metadata: new Map() })
    })
  })

  describe('robots', () => {
    const created = async (robot: string, number: number, name: string, project?: string) =>
      RobotCreated({ robot, number, name, ...(project === undefined ? {} : { project }), verifier: await sealer.seal(SECRETS, 'first'), ...terms })

    it('are found by id and name in their project, with their last terms and secret', async () => {
      const { happened, queries, decisionRows } = await empty()
      const [project, own, global] = [randomUUID(), randomUUID(), randomUUID()]
      await happened(streams.projects, ProjectCreated({ project, number: 1, name: 'team', visibility: 'private' }))
      await happened(streams.robots, await created(own, 1, 'ci', project), await created(global, 2, 'ci'))
      expect(await queries.robotIdByName('ci', project)).toBe(own)
      expect(await queries.robotIdByName('ci', undefined)).toBe(global)
      expect(await queries.robotIdByName('ci', randomUUID())).toBeUndefined()
      const to = { ...terms, disabled: true, expiresAt: null }
      const verifier = await sealer.seal(SECRETS, 'second')
      expect(await decisionRows.robot(own)).toEqual({ revision: -1, terms })
      const refreshed = await happened(streams.robot(own), RobotChanged({ from: terms, to }), RobotSecretRefreshed({ verifier }))
      expect(await queries.robot(own)).toMatchObject({ name: 'ci', project, disabled: true, expiresAt: undefined, permissions: terms.permissions, verifier, credential: refreshed })
      expect(await queries.robot(global)).toMatchObject({ project: undefined, disabled: false, expiresAt: new Date('2027-01-01T00:00:00.000Z') })
      expect(await decisionRows.robot(own)).toEqual({ revision: 1, terms: to })
      expect(await decisionRows.robots({ name: 'ci', project })).toEqual({ revision: 1, lastNumber: 2, robots: [{ id: own, name: 'ci', project }] })
      expect(await decisionRows.robots({ name: 'ci', project: undefined })).toEqual({ revision: 1, lastNumber: 2, robots: [{ id: global, name: 'ci', project: undefined }] })
    })

    it('end with their deletion, and with their project\'s', async () => {
      const { happened, queries, decisionRows } = await empty()
      const [project, own, global] = [randomUUID(), randomUUID(), randomUUID()]
      await happened(streams.projects, ProjectCreated({ project, number: 1, name: 'team', visibility: 'private' }))
      await happened(streams.robots, await created(own, 1, 'ci', project), await created(global, 2, 'ci'), RobotDeleted({ robot: global }))
      expect(await queries.robot(global)).toBeUndefined()
      expect(await queries.robotIdByName('ci', undefined)).toBeUndefined()
      expect(await decisionRows.robot(global)).toEqual({ revision: -1, terms: undefined })
      expect(await decisionRows.robots({ id: global })).toEqual({ revision: 2, lastNumber: 2, robots: [] })
      expect(await queries.robot(own)).toMatchObject({ id: own })
      await happened(streams.projects, ProjectDeleted({ project }))
      expect(await queries.robot(own)).toBeUndefined()
    })
  })

  it('gives keys, oldest first, and the settings that are not at their default', async () => {
    const { happened, queries } = await empty()
    expect([await queries.signingKeys(), await queries.verifierKey(), await queries.settings()]).toEqual([[], undefined, new Map()])
    const [one, other, verifier, password] = [await sealer.seal(SECRETS, '1'), await sealer.seal(SECRETS, '2'), await sealer.seal(SECRETS, '3'), await sealer.seal(SECRETS, '4')]
    const key = (kid: string, privateKey: typeof one, notBefore: string) => SigningKeyMade({ kid, notBefore, publicKey: '{}', privateKey })
    await happened(streams.keys, VerifierKeyMade({ key: verifier }), key('z', one, '2026-02-01T00:00:00.000Z'), key('a', other, '2026-01-01T00:00:00.000Z'))
    expect(await queries.signingKeys()).toEqual([
      { kid: 'z', publicKey: '{}', privateKey: one, notBefore: new Date('2026-02-01T00:00:00.000Z') }, { kid: 'a', publicKey: '{}', privateKey: other, notBefore: new Date('2026-01-01T00:00:00.000Z') },
    ])
    expect(await queries.verifierKey()).toBe(verifier)
    const set = (name: string, to: string | number | boolean | null) => SettingChanged({ name, from: null, to })
    await happened(
      streams.settings, set('a', false), set('b', 30), set('b', null), set('c', ''), SettingChanged({ name: 'd', secret: true, sealed: password }),
      SettingChanged({ name: 'e', secret: true, sealed: password }), SettingChanged({ name: 'e', secret: true, sealed: null }),
    )
    expect(await queries.settings()).toEqual(new Map<string, object>([['a', { value: false }], ['c', { value: '' }], ['d', { sealed: password }]]))
  })

  describe('a decision', () => {
    type Case = { readonly what: string; readonly ready: (events: readonly Recorded[]) => boolean; readonly decide: (rows: DecisionRows, tail: Tail) => Promise<unknown> }
    /** The events of a stream after a revision. */
    type Tail = (stream: string, after: number) => readonly Event[]

    function caseOf<S extends { readonly revision: number }, C, F extends Fact>(
      of: (rows: DecisionRows) => Aggregate<S, C, F, Rejection>, command: C, ready: Case['ready'] = () => true,
    ): Case {
      return {
        what: JSON.stringify(command),
        ready,
        async decide(rows, tail) {
          const aggregate = of(rows)
          let state = await aggregate.load(command)
          for (const event of tail(aggregate.stream, state.revision)) state = await aggregate.evolve(state, event as Event<F>, command)
          return aggregate.decide(state, command)
        },
      }
    }

    async function historyOf(seed: number): Promise<readonly Recorded[]> {
      const log = createMemoryLog(createCodec(eventTypes))
      await generateHistory(log, {
        seed, events: 400, sealer, forget: (subject) => sealer.forget(subject), blobs: memoryBlobs(), start: new Date('2025-01-01T00:00:00.000Z'),
        shape: { stateShare: 1, identityShare: 1, projects: 5 },
      })
      const events: Recorded[] = []
      for await (const each of log.readAll(['state'], 'start')) events.push(each)
      return events
    }

    /** Commands that name what the history has named: every user, name, address, group, robot and project, alive or not. */
    async function casesOf(events: readonly Recorded[]): Promise<Case[]> {
      const cases: Case[] = []
      const users = (rows: DecisionRows) => usersAggregate(rows, sealer)
      const creates = (id: string) => (some: readonly Recorded[]) => some.some(({ event }) => Object.values(event.data as object).includes(id))
      const ended = (id: string) => events.some(({ event }) => event.type.endsWith('Deleted') && Object.values(event.data as object).includes(id))
      const begun = (project: string) =>
        events.findLast(({ event }) => event.type === 'ProjectDeletionBegun' && Object.values(event.data as object).includes(project))?.event.id
      for (const recorded of events) {
        const event = stateFact(recorded.event)
        if (event.type === 'UserCreated' || event.type === 'PersonChanged') {
          const clear = await sealer.open(event.type === 'UserCreated' ? event.data.person : event.data.to)
          const person = clear === undefined ? { name: 'nobody' } : (JSON.parse(clear) as Person)
          const id = randomUUID()
          cases.push(caseOf(users, { type: 'CreateUser', user: id, person: await sealPerson(sealer, id, person), source: 'local', administrator: false }))
          if (event.type === 'PersonChanged') continue
          const known = event.data.user
          cases.push(
            caseOf(users, { type: 'DeleteUser', user: known }),
            caseOf(users, { type: 'ForgetUser', user: known, shared: [] }),
            caseOf(users, { type: 'SetAdministrator', user: known, administrator: false }),
            caseOf(users, { type: 'SetAuditor', user: known, auditor: true }),
            caseOf(users, { type: 'ChangePerson', user: known, person: { clear: { name: 'Alice' }, sealed: await sealer.seal(SECRETS, 'person') } }),
            caseOf((rows) => userAggregate(rows, known), { type: 'ShowGroups', groups: [] }),
          )
        } else if (event.type === 'GroupCreated') {
          const { group: known, name, source, dn = '' } = event.data
          const again = source === 'ldap' ? { name, source, dn } : { name, source }
          cases.push(
            caseOf(groupsAggregate, { type: 'CreateGroups', groups: [{ id: randomUUID(), ...again }] }),
            caseOf(groupsAggregate, { type: 'RenameGroup', group: known, name: 'Team 1' }),
            caseOf(groupsAggregate, { type: 'DeleteGroup', group: known }),
          )
        } else if (event.type === 'GroupRenamed') {
          cases.push(caseOf(groupsAggregate, { type: 'CreateGroups', groups: [{ id: randomUUID(), name: event.data.to, source: 'oidc' }], onlyNew: true }))
        } else if (event.type === 'RobotCreated') {
          const { robot: known, name, project } = event.data
          const where = project === undefined ? {} : { project }
          cases.push(
            caseOf(robotsAggregate, { type: 'CreateRobot', robot: randomUUID(), name, ...where, verifier: await sealer.seal(SECRETS, 'new'), terms }),
            caseOf(robotsAggregate, { type: 'DeleteRobot', robot: known }),
          )
          // Its own stream tells neither its creation nor its end: rows from between decide as the last ones do.
          if (!ended(known)) cases.push(caseOf((rows) => robotAggregate(rows, known), { type: 'ChangeRobot', changes: terms }, creates(known)))
        } else if (event.type === 'ProjectCreated') {
          const { project: known, name } = event.data
          cases.push(
            caseOf(projectsAggregate, { type: 'CreateProject', id: randomUUID(), name, visibility: 'private' }),
            caseOf(projectsAggregate, { type: 'BeginDeletion', id: known }),
            caseOf(projectsAggregate, { type: 'StopDeletion', id: known }),
            caseOf(projectsAggregate, { type: 'DeleteProject', id: known, deletion: begun(known) }),
          )
          if (ended(known)) continue
          const own = (rows: DecisionRows) => projectAggregate(rows, known)
          cases.push(
            caseOf(own, { type: 'ChangeProject', visibility: 'public' }, creates(known)),
            caseOf(own, { type: 'ChangeProject', metadata: { severity: null } }, creates(known)),
          )
          for (const { stream, event: each } of events) {
            if (stream !== streams.project(known) || each.type !== 'MemberAdded') continue
            const { member } = each.data as { member: Member }
            cases.push(
              caseOf(own, { type: 'AddMember', member, role: 'guest' }, creates(known)),
              caseOf(own, { type: 'ChangeMemberRole', member, role: 'auditor' }, creates(known)),
              caseOf(own, { type: 'RemoveMember', member }, creates(known)),
            )
          }
        }
      }
      return cases
    }

    it.each([31, 32, 33])('is the same on rows that are behind by any number of events, and on none (seed %d)', async (seed) => {
      const events = await historyOf(seed)
      const cases = await casesOf(events)
      const { folder, decisionRows } = await empty()
      const tail: Tail = (stream, after) => events.filter((each) => each.stream === stream && each.revision > after).map(({ event }) => event)
      const found = cases.map((): Set<string> => new Set())
      let compared = 0
      let folded = 0
      const step = 20
      for (;;) {
        const before = events.slice(0, folded)
        await Promise.all(
          cases.map(async ({ ready, decide }, index) => {
            if (!ready(before)) return
            found[index]?.add(JSON.stringify(await decide(decisionRows, tail)))
            compared += 1
          }),
        )
        if (folded >= events.length) break
        const batch = events.slice(folded, folded + step)
        await folder.commit(batch, batch.at(-1)?.position ?? position('queries0', 1))
        folded += batch.length
      }
      const differing = cases.map(({ what }, index) => ({ what, decisions: [...(found[index] ?? [])] })).filter(({ decisions }) => decisions.length !== 1)
      expect(differing).toEqual([])
      expect(compared).toBeGreaterThan(3_000)
      // Neither are all refused, nor all done.
      const decided = found.flatMap((each) => [...each])
      expect(decided.filter((each) => each.includes('"refused"')).length).toBeGreaterThan(20)
      expect(decided.filter((each) => each.startsWith('[{')).length).toBeGreaterThan(20)
    })
  })
})
