import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { groupsAggregate } from '../../src/commands/group/aggregate.ts'
import { createHandler } from '../../src/commands/handle.ts'
import type { Aggregate, Handle } from '../../src/commands/handle.ts'
import { LogNamed } from '../../src/commands/log/events.ts'
import type { Rejection } from '../../src/commands/rejection.ts'
import { robotAggregate, robotsAggregate } from '../../src/commands/robot/aggregate.ts'
import { sealPerson, usersAggregate } from '../../src/commands/user/aggregate.ts'
import type { UsersCommand } from '../../src/commands/user/decide.ts'
import type { Person } from '../../src/commands/user/events.ts'
import type { EventLog } from '../../src/ports/event-log.ts'
import type { Fact } from '../../src/ports/event.ts'
import { SECRETS } from '../../src/ports/key-store.ts'
import { streams } from '../../src/ports/streams.ts'
import { openPostgresLog } from '../../src/storage/events/postgres/log.ts'
import { eventOf } from '../storage/events/contract.ts'
import { noRows } from '../support/decision-rows.ts'
import { createPlainSealer } from '../support/history.ts'
import { testDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'

/*
 * Two processes on one log decide at once what only one of them may: each has a connection, a handler and rows of its own, and the
 * rows never catch up, so the stream alone is the authority.
 */

const sealer = createPlainSealer()
const context = { actor: { kind: 'system' as const, subject: randomUUID() }, now: () => new Date() }
const terms = { description: '', disabled: false, expiresAt: null, permissions: [], workloads: [] }
const nothing = { revision: -1, lastNumber: 0 }
const rows = {
  ...noRows,
  users: () => Promise.resolve({ ...nothing, users: [], administrators: [] }),
  groups: () => Promise.resolve({ ...nothing, groups: [] }),
  robots: () => Promise.resolve({ ...nothing, robots: [] }),
}

describe('two processes at once', () => {
  let database: TestDatabase
  let logs: readonly EventLog[]
  let processes: readonly Handle[]
  beforeAll(async () => {
    database = await testDatabase()
    const open = () => openPostgresLog(database.connection, createCodec(eventTypes))
    const first = await open()
    await first.append('log', -1, [eventOf(LogNamed({ log: 'races000' }))])
    logs = [first, await open()]
    processes = logs.map((log) => createHandler(log))
  })
  afterAll(async () => {
    for (const log of logs) await log.close()
    await database.drop()
  })

  /** Each process has its own command for one aggregate, at once. Answers the code of each refusal, or undefined where it was done. */
  async function race<S extends { readonly revision: number }, C, F extends Fact>(aggregate: Aggregate<S, C, F, Rejection>, commands: readonly C[]): Promise<(string | undefined)[]> {
    return Promise.all(
      processes.map(async (handle, index) => {
        const command = commands[index]
        if (command === undefined) throw new Error('each process has a command')
        const { outcome } = await handle(aggregate, command, context)
        return 'refused' in outcome ? outcome.code : undefined
      }),
    )
  }

  const users = usersAggregate(rows, sealer)

  async function create(clear: Person, administrator = false): Promise<UsersCommand & { readonly type: 'CreateUser' }> {
    const user = randomUUID()
    return { type: 'CreateUser', user, person: await sealPerson(sealer, user, clear), source: 'local', administrator }
  }

  async function done(command: UsersCommand): Promise<void> {
    const [handle] = processes
    const handled = await handle?.(users, command, context)
    if (handled === undefined || 'refused' in handled.outcome) throw new Error(`${command.type} was refused`)
  }

  /** One was done and one refused: the index of the one that was done. */
  function winnerOf(codes: readonly (string | undefined)[], code: string): number {
    expect([...codes].sort()).toEqual([code, undefined])
    return codes.indexOf(undefined)
  }

  it('two administrators remove each other at once: one stays (99 rounds, each end against each)', async () => {
    const ends: readonly ((user: string) => UsersCommand)[] = [
      (user) => ({ type: 'SetAdministrator', user, administrator: false }),
      (user) => ({ type: 'DeleteUser', user }),
      (user) => ({ type: 'ForgetUser', user, shared: [] }),
    ]
    const first = await create({ name: 'alice' }, true)
    await done(first)
    let stays = first.user
    for (let round = 0; round < 99; round += 1) {
      const other = await create({ name: `administrator-${round}` }, true)
      await done(other)
      const [mine, theirs] = [ends[round % 3], ends[Math.floor(round / 3) % 3]]
      if (mine === undefined || theirs === undefined) throw new Error('there are three ends')
      const winner = winnerOf(await race(users, [mine(other.user), theirs(stays)]), 'PRECONDITION')
      stays = winner === 0 ? stays : other.user
    }
  })

  it.each<{ what: string; first: Person; second: Person }>([
    { what: 'name, spelt otherwise', first: { name: 'Carol' }, second: { name: 'ＣＡＲＯＬ' } },
    { what: 'mail address', first: { name: 'dave', email: 'd@example.org' }, second: { name: 'david', email: 'D@Example.org' } },
  ])('of two processes that create users of the same $what one is refused (20 rounds)', async ({ first, second }) => {
    for (let round = 0; round < 20; round += 1) {
      const commands = [await create(first), await create(second)]
      const winner = winnerOf(await race(users, commands), 'CONFLICT')
      // Gone, and so free for the next round.
      const user = commands[winner]?.user ?? ''
      await done(round % 2 === 0 ? { type: 'DeleteUser', user } : { type: 'ForgetUser', user, shared: [] })
    }
  })

  it('a user takes a name while another one is created under it: one is refused (20 rounds)', async () => {
    const taker = await create({ name: 'taker' })
    await done(taker)
    for (let round = 0; round < 20; round += 1) {
      const wanted = { name: `wanted-${round}` }
      const change: UsersCommand = { type: 'ChangePerson', user: taker.user, person: await sealPerson(sealer, taker.user, wanted) }
      winnerOf(await race(users, [change, await create(wanted)]), 'CONFLICT')
    }
  })

  it('two processes change one robot at once: both changes stay (20 rounds)', async () => {
    for (let round = 0; round < 20; round += 1) {
      const id = randomUUID()
      const robot = robotAggregate({ ...rows, robot: () => Promise.resolve({ revision: -1, terms }) }, id)
      const changes = [{ disabled: true }, { workloads: [{ issuer: 'https://ci.example', audience: 'varve', subject: 'job', claims: {} }] }]
      expect(await race(robot, changes.map((each) => ({ type: 'ChangeRobot', changes: each })))).toEqual([undefined, undefined])
      const changed = []
      for await (const { event } of logs[0]?.readStream(streams.robot(id), -1) ?? []) changed.push(event)
      expect(changed.at(-1)).toMatchObject({ type: 'RobotChanged', data: { to: { ...terms, ...changes[0], ...changes[1] } } })
    }
  })

  it('of two processes that create robots of one name, or groups of one key, one is refused (20 rounds)', async () => {
    const project = randomUUID()
    for (let round = 0; round < 20; round += 1) {
      const verifier = await sealer.seal(SECRETS, 'verifier')
      const robot = () => ({ type: 'CreateRobot', robot: randomUUID(), name: `ci-${round}`, project, verifier, terms }) as const
      winnerOf(await race(robotsAggregate(rows), [robot(), robot()]), 'CONFLICT')
      const group = (dn: string) => ({ type: 'CreateGroups', groups: [{ id: randomUUID(), name: 'team', source: 'ldap', dn }] }) as const
      winnerOf(await race(groupsAggregate(rows), [group(`cn=team-${round}`), group(`CN=Team-${round}`)]), 'CONFLICT')
    }
  })

  it('numbers each set without a gap, whoever was faster', async () => {
    for (const stream of ['users', 'robots', 'groups']) {
      const numbers: number[] = []
      for await (const { event } of logs[0]?.readStream(stream, -1) ?? []) {
        const { number } = event.data as { readonly number?: number }
        if (number !== undefined) numbers.push(number)
      }
      expect(numbers).toEqual(numbers.map((_, index) => index + 1))
      expect(numbers.length).toBeGreaterThanOrEqual(20)
    }
  })
})
