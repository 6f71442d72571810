import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Pool } from 'pg'
import { soughtFor } from '../../src/commands/access/grants.ts'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { boundOf } from '../../src/ports/bound.ts'
import type { EventLog } from '../../src/ports/event-log.ts'
import type { Recorded } from '../../src/ports/event.ts'
import { comparePositions, positionNumber } from '../../src/ports/position.ts'
import type { Position } from '../../src/ports/position.ts'
import { laneOf } from '../../src/ports/streams.ts'
import { accessHistory } from '../../src/projections/access-history.ts'
import { accessQueries, momentOf } from '../../src/projections/access-queries.ts'
import type { AccessQueries, CouldHave, GrantFound, Moment, SubjectThen } from '../../src/projections/access-queries.ts'
import type { Reads } from '../../src/projections/projection.ts'
import { catalogueGroup, createVersion, prepareRegister, schemaName } from '../../src/projections/read-models.ts'
import { verify } from '../../src/projections/rebuild.ts'
import { openFolder } from '../../src/projections/runner.ts'
import { createRows } from '../../src/projections/versioned-queries.ts'
import { createMemoryLog } from '../../src/storage/events/memory.ts'
import { createPool } from '../../src/storage/postgres/pool.ts'
import { testDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { seeded } from '../support/random.ts'
import { generateChanges } from './access-changes.ts'
import { RIGHTS, startReplay } from './access-replay.ts'
import type { Action, Replayed } from './access-replay.ts'
import { separateAccess } from './separate-access.ts'
import { sorted } from './separate-fold.ts'

const EVENTS = 10_000
const ACTIONS: readonly Action[] = ['pull', 'push', 'delete']
const NAMES = ['team', 'library', 'web', 'data', 'ops', 'lab', 'mirror', 'tools', 'nowhere']

const reads: Reads = {
  manifest: () => Promise.resolve(undefined),
  forgotten: () => Promise.resolve(),
  openPrivate: (sealed) => Promise.resolve(JSON.parse(Buffer.from(sealed, 'base64url').toString()) as object),
}

const replayed = ({ event, stream, position }: Recorded): Replayed => ({
  number: Number(positionNumber(position)), stream, type: event.type, at: event.at, id: event.id, actor: event.actor, data: event.data as Replayed['data'],
})

/** A grant as the replay says it. */
function lineOf({ grant, since, group }: GrantFound): string {
  const what = {
    visibility: () => [`visibility ${grant.by === 'visibility' ? grant.visibility : ''}`],
    administrator: () => ['administrator'],
    auditor: () => ['auditor'],
    member: () => [`member ${grant.by === 'member' ? grant.role : ''}`],
    group: () => [`group ${grant.by === 'group' ? `${grant.role} ${grant.group}` : ''}`],
    permission: () => [`permission ${grant.by === 'permission' && grant.permission.kind === 'project' ? grant.permission.project : ''}`],
  }
  const causes = [since, ...(group === undefined ? [] : [group.shown])]
  return [
    ...what[grant.by](),
    ...causes.map(({ position, event, time, actor }) => `${positionNumber(position)} ${event} ${time.toISOString()} ${actor.kind}:${actor.id}`),
  ].join(' | ')
}

const linesOf = (grants: readonly GrantFound[], action: Action): string[] => grants.filter(({ actions }) => actions.includes(action)).map(lineOf).sort()

/** A moment that is asked about, and what the replay must have applied for it. */
type Asked = { readonly at: Position | Date; readonly upTo: number; readonly time: number; readonly answerOf: number }

/** Moments of every kind: at, before and after events of each type, between clocks, and when robots end. */
function momentsFor(events: readonly Recorded[], seed: number): Asked[] {
  const random = seeded(seed)
  const rights: { readonly number: number; readonly clock: number }[] = []
  const clocks: number[] = []
  let [clock, lastRight] = ['', 0]
  for (const { event, stream, position } of events) {
    if (laneOf(stream) === 'state' && event.at > clock) clock = event.at
    if (RIGHTS.has(event.type)) {
      lastRight = Date.parse(clock)
      rights.push({ number: Number(positionNumber(position)), clock: lastRight })
    }
    // A position's own time: of its event, or of the last one before that rights rest on.
    clocks.push(Math.max(lastRight, Date.parse(event.at)))
  }
  const types = Map.groupBy(events.keys(), (index) => events[index]?.event.type ?? '')
  const places = [...types.values()].flatMap((all) => Array.from({ length: 3 }, () => random.pick(all))).flatMap((index) => [index - 1, index, index + 1])
  const positions = [...new Set([...places, events.length - 1, ...Array.from({ length: 20 }, () => random.below(events.length))])]
  const atPositions = positions.flatMap((index): Asked[] => {
    const [asked, time] = [events[index]?.position, clocks[index]]
    if (asked === undefined || time === undefined) return []
    return [{ at: asked, upTo: index + 1, time, answerOf: Number(positionNumber(asked)) }]
  })

  const [first = { clock: 0 }, last = { clock: 0 }] = [rights[0], rights.at(-1)]
  const ends = events.flatMap(({ event: { type, data } }) => {
    const terms = (type === 'RobotChanged' ? (data as { to: object }).to : type === 'RobotCreated' ? data : {}) as { expiresAt?: string | null }
    return terms.expiresAt === undefined || terms.expiresAt === null ? [] : [Date.parse(terms.expiresAt)]
  })
  const times = [
    ...Array.from({ length: 30 }, () => first.clock + random.below(last.clock - first.clock)),
    ...Array.from({ length: 10 }, () => random.pick(rights).clock).flatMap((time) => [time - 1, time, time + 1]),
    ...Array.from({ length: 10 }, () => random.pick(ends)).flatMap((time) => [time - 1, time, time + 1]),
  ].filter((time) => time >= first.clock && time <= last.clock)
  const atTimes = times.map((time): Asked => {
    const upTo = rights.findLast((each) => each.clock <= time)?.number ?? 0
    return { at: new Date(time), upTo, time, answerOf: upTo }
  })
  return [...atPositions, ...atTimes].sort((a, b) => a.upTo - b.upTo)
}

describe.each([1, 2, 3])(`questions about a history of ${EVENTS} grants and revocations (seed %d)`, (seed) => {
  let database: TestDatabase
  let pool: Pool
  let log: EventLog
  let queries: AccessQueries
  let schema: string
  let head: Position
  const events: Recorded[] = []

  beforeAll(async () => {
    database = await testDatabase()
    pool = createPool({ ...database.connection, max: 4, pipeline: true })
    await prepareRegister(pool)
    schema = schemaName(await createVersion(pool))
    log = createMemoryLog(createCodec(eventTypes))
    await generateChanges(log, seed, EVENTS)
    for await (const recorded of log.readAll(['state', 'activity'], 'start')) events.push(recorded)
    const random = seeded(seed)
    const folder = await openFolder(pool, schema, catalogueGroup, reads)
    for (let from = 0; from < events.length; ) {
      const batch = events.slice(from, from + 1 + random.below(400))
      const last = batch.at(-1)
      if (last === undefined) throw new Error('a batch holds an event')
      await folder.commit(batch.filter(({ stream }) => laneOf(stream) === 'state'), last.position)
      from += batch.length
      head = last.position
    }
    await pool.query('analyze')
    queries = accessQueries(createRows(pool, () => schema))
  }, 180_000)

  afterAll(async () => {
    await pool.end()
    await database.drop()
  })

  async function resolved({ at, time, answerOf }: Asked): Promise<Moment> {
    const moment = await momentOf(log, queries, at, head, new Date(8.64e15))
    if ('refused' in moment) throw new Error(moment.reason)
    expect([Number(positionNumber(moment.position)), moment.time.getTime()]).toEqual([answerOf, time])
    return moment
  }

  async function everybodyWhoCould(project: string, action: Action, moment: Moment, limit: number, only?: SubjectThen): Promise<CouldHave[]> {
    const all: CouldHave[] = []
    for (;;) {
      const { found, more } = await queries.whoCould(project, soughtFor([action], await queries.rolesVersion(moment)), moment, { after: all.at(-1), limit, only })
      expect(found.length <= limit && (!more || found.length === limit)).toBe(true)
      all.push(...found)
      if (!more) return all
    }
  }

  it('holds what the test means to hold', () => {
    const count = (type: string): number => events.filter(({ event }) => event.type === type).length
    for (const type of RIGHTS) expect({ type, there: count(type) > 0 }).toEqual({ type, there: true })
    expect(count('ProjectDeleted')).toBeGreaterThan(20)
    expect(count('UserDeleted')).toBeGreaterThan(20)
    expect(count('GroupDeleted')).toBeGreaterThan(5)
  })

  it('are answered as a replay answers them: who could, by which grants, since which events', async () => {
    const random = seeded(seed)
    const replay = startReplay()
    let applied = 0
    let answers = 0
    for (const asked of momentsFor(events, seed)) {
      for (; applied < asked.upTo; applied += 1) replay.apply(replayed(events[applied] as Recorded))
      const moment = await resolved(asked)
      const name = random.pick(NAMES)
      const project = await queries.projectThen(name, moment)
      expect(project).toBe(replay.projects().get(name))
      if (project === undefined) continue
      for (const action of ACTIONS) {
        const found = await everybodyWhoCould(project, action, moment, 1 + random.below(40))
        expect(found.map(({ kind, id }) => `${kind} ${id}`)).toEqual(found.map(({ kind, id }) => `${kind} ${id}`).sort())
        const lines = new Map(found.map(({ kind, id, grants }) => [`${kind} ${id}`, linesOf(grants, action)]))
        expect(lines).toEqual(replay.whoCould(project, action, asked.time))
        answers += found.length
      }
      const user = random.pick([...replay.users()])
      const only = await everybodyWhoCould(project, 'pull', moment, 10, { kind: 'user', id: user, name: undefined })
      const expected = replay.whoCould(project, 'pull', asked.time)
      expect(only.map(({ kind, id }) => `${kind} ${id}`)).toEqual(['anybody ', `user ${user}`].filter((who) => expected.has(who)))
    }
    expect(answers).toBeGreaterThan(5_000)
  }, 300_000)

  it('are answered for each user and each robot as a replay answers them: what they could reach', async () => {
    const random = seeded(seed + 100)
    const replay = startReplay()
    let applied = 0
    let reached = 0
    const moments = momentsFor(events, seed + 100)
    for (const asked of moments.filter((_, index) => index % Math.ceil(moments.length / 12) === 0)) {
      for (; applied < asked.upTo; applied += 1) replay.apply(replayed(events[applied] as Recorded))
      const moment = await resolved(asked)
      const subjects: SubjectThen[] = [
        ...[...replay.users()].map((id) => ({ kind: 'user' as const, id, name: undefined })),
        ...replay.robots().map((id) => ({ kind: 'robot' as const, id, name: undefined })),
      ]
      const projects = [...replay.projects()].sort(([a], [b]) => (a < b ? -1 : 1))
      const could = new Map(projects.flatMap(([, id]) => ACTIONS.map((action) => [`${id} ${action}`, replay.whoCould(id, action, asked.time)] as const)))
      for (const subject of subjects) {
        const limit = 1 + random.below(5)
        const found = []
        for (let more = true; more; ) {
          const page = await queries.couldReach(subject, soughtFor(ACTIONS, await queries.rolesVersion(moment)), moment, { after: found.at(-1)?.name, limit })
          found.push(...page.found)
          more = page.more
        }
        const expected = projects.flatMap(([name, id]) => {
          const by = ACTIONS.map((action) => {
            const answer = could.get(`${id} ${action}`)
            return [action, [...(answer?.get('anybody ') ?? []), ...(answer?.get(`${subject.kind} ${subject.id}`) ?? [])].sort()] as const
          })
          return by.every(([, lines]) => lines.length === 0) ? [] : [[name, by] as const]
        })
        expect(found.map(({ name, grants }) => [name, ACTIONS.map((action) => [action, linesOf(grants, action)])])).toEqual(expected)
        reached += found.length
      }
      await expectNamesOf(replay.users(), moment)
    }
    expect(reached).toBeGreaterThan(1_000)
  }, 300_000)

  /** Users and robots are found by id exactly while they live. */
  async function expectNamesOf(users: ReadonlySet<string>, moment: Moment): Promise<void> {
    for (const { event } of events) {
      if (event.type !== 'UserCreated') continue
      const { user } = event.data as { user: string }
      const [found, ...others] = await queries.usersThen(user, moment)
      expect([found?.id, others.length]).toEqual([users.has(user) ? user : undefined, 0])
      if (found?.name !== undefined) expect((await queries.usersThen(found.name.toUpperCase(), moment)).map(({ id }) => id)).toContain(user)
    }
  }

  it('rest on the rows that a separate fold has', async () => {
    const separate = separateAccess()
    let clock = ''
    for (const recorded of events) {
      if (laneOf(recorded.stream) !== 'state') continue
      if (recorded.event.at > clock) clock = recorded.event.at
      separate.fold(recorded, clock)
    }
    for (const table of accessHistory.tables) {
      const columns = Object.entries(table.columns).map(([name, type]) => (type === 'timestamptz' ? `to_char(${name} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${name}` : name))
      const { rows } = await pool.query<Record<string, string | number | boolean | null>>(`select ${columns.join(', ')} from ${schema}.${table.name}`)
      expect({ table: table.name, rows: rows.map(sorted).sort() }).toEqual({ table: table.name, rows: separate.tables()[table.name]?.map(sorted).sort() })
      expect(rows.length).toBeGreaterThan(0)
    }
  }, 120_000)

  it('rest on rows that a rebuild gives again', async () => {
    expect(await verify({ pool, log, reads, onProgress: () => undefined })).toEqual([])
  }, 120_000)

  it('refuse what is not there yet, what was before, and positions of nobody', async () => {
    const last = events.at(-1)
    const [latest] = events.filter(({ stream }) => laneOf(stream) === 'state').map(({ event }) => event.at).sort().reverse()
    const now = new Date(latest ?? '')
    const refusedAt = async (asked: string): Promise<string> => {
      const bound = await boundOf(log, asked)
      const moment = 'refused' in bound ? bound : await momentOf(log, queries, bound.at, head, now)
      return 'refused' in moment ? moment.reason : 'answered'
    }
    expect(await refusedAt(new Date(now.getTime() + 1_000).toISOString())).toContain('has not come yet')
    expect(await refusedAt('2025-12-31T23:59:59Z')).toContain('before the log began')
    expect(await refusedAt('otherlog-1')).toContain('another log')
    expect(await refusedAt(`testlog1-${events.length + 1}`)).toContain('beyond the head')
    expect(await refusedAt('yesterday')).toContain('neither a time')
    const present = await momentOf(log, queries, undefined, head, now)
    expect('refused' in present ? present : comparePositions(present.position, last?.position ?? head)).toBe(0)
  })
})
