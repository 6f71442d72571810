import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { AccessRecorded, PULL_COLUMNS, PullsRecorded } from '../../src/commands/activity/events.ts'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { LogNamed } from '../../src/commands/log/events.ts'
import { SubjectForgotten, UserCreated } from '../../src/commands/user/events.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Fact, Recorded } from '../../src/ports/event.ts'
import type { Sealed } from '../../src/ports/key-store.ts'
import { repositoryKey, streams } from '../../src/ports/streams.ts'
import type { PrivatePart, Reads } from '../../src/projections/projection.ts'
import { createIndexes, createVersion, groups, prepareRegister, schemaName, trailGroup } from '../../src/projections/read-models.ts'
import { verify } from '../../src/projections/rebuild.ts'
import { openFolder } from '../../src/projections/runner.ts'
import type { Folder } from '../../src/projections/runner.ts'
import { createMemoryLog } from '../../src/storage/events/memory.ts'
import { createPlainSealer } from '../support/history.ts'
import { testDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'

const boot = randomUUID()
const [ann, ben] = [randomUUID(), randomUUID()]
/** Callers without a login: some who share a key with ann's address, and some who do not. */
const [beside, elsewhere] = [randomUUID(), randomUUID()]
const repository = repositoryKey(randomUUID(), 'app')
const digest = digestOf('sha256', Buffer.from('x'))

describe('whoever is forgotten while events of theirs are folded', () => {
  let database: TestDatabase
  let pool: pg.Pool
  const sealer = createPlainSealer()
  const log = createMemoryLog(createCodec(eventTypes))
  /** As a server has it, which remembers keys for a while, though another process forgot them. */
  const dropped = new Set<string>()
  const reads: Reads = {
    manifest: () => Promise.resolve(undefined),
    async openPrivate(sealed) {
      const [subject = '', clear = ''] = JSON.parse(Buffer.from(sealed, 'base64url').toString()) as string[]
      return dropped.has(subject) ? undefined : Promise.resolve(JSON.parse(clear) as PrivatePart)
    },
    async forgotten(subject) {
      dropped.add(subject)
      await Promise.resolve()
    },
  }
  let folders: Folder[] = []
  let schema = ''
  let folded = 0
  const revisions = new Map<string, number>()

  beforeAll(async () => {
    database = await testDatabase()
    pool = new pg.Pool({ ...database.connection, max: 4, pipeline: true })
    await prepareRegister(pool)
    const version = await createVersion(pool)
    await createIndexes(pool, version)
    schema = schemaName(version)
    for (const group of groups) folders.push(await openFolder(pool, schema, group, reads))
    await append(streams.log, LogNamed({ log: 'forget00' }))
  })
  afterAll(async () => {
    await pool.end()
    await database.drop()
  })

  async function append(stream: string, fact: Fact, who: { readonly actor?: { readonly kind: 'user'; readonly subject: string }; readonly private?: Sealed } = {}): Promise<void> {
    const revision = revisions.get(stream) ?? -1
    revisions.set(stream, revision + 1)
    const event = { ...fact, id: randomUUID(), at: new Date().toISOString(), actor: { kind: 'system' as const, subject: boot }, ...who }
    expect((await log.append(stream, revision, [event])).status).toBe('appended')
  }

  /** Folds what was appended since, in one commit a group. */
  async function fold(): Promise<void> {
    const all: Recorded[] = []
    for await (const each of log.readAll(['state', 'activity'], 'start')) all.push(each)
    const fresh = all.slice(folded)
    folded = all.length
    const last = fresh.at(-1)
    if (last === undefined) throw new Error('nothing was appended')
    for (const [index, group] of groups.entries()) {
      await folders[index]?.commit(fresh.filter((each) => group === trailGroup || !/^(activity|access)-/.test(each.stream)), last.position)
    }
  }

  const callerOf = async (subject: string, address: string, kind = 'user') => ({ kind, subject, private: await sealer.seal(subject, JSON.stringify({ name: `name of ${subject}`, address, userAgent: 'agent' })) })
  type Caller = Awaited<ReturnType<typeof callerOf>>

  const pull = (caller: Caller): Promise<void> =>
    append(streams.activity(boot), PullsRecorded({ callers: [caller], artifacts: [{ repository, digest }], columns: [...PULL_COLUMNS], pulls: [[0, 0, 0, randomUUID()]] }))
  const logIn = (caller: Caller): Promise<void> =>
    append(streams.access(boot), AccessRecorded({ callers: [caller], entries: [{ what: 'login', by: 'password', caller: 0, milliseconds: 0, request: randomUUID() }] }))

  async function named(): Promise<Record<string, unknown>[]> {
    return (await pool.query<Record<string, unknown>>(`select subject, name, address, agent from ${schema}.callers where subject not like 'system:%' order by subject, address`)).rows
  }

  it('has no row in clear after, whichever way their events come, and nobody else is blanked', async () => {
    for (const user of [ann, ben]) await append(streams.users, UserCreated({ user, number: user === ann ? 1 : 2, source: 'local', person: await sealer.seal(user, JSON.stringify({ name: user })), administrator: false }))
    const [first, second, late, bens] = [await callerOf(ann, '203.0.113.1'), await callerOf(ann, '203.0.113.2'), await callerOf(ann, '203.0.113.3'), await callerOf(ben, '203.0.113.1')]
    const [shared, same, far] = [await callerOf(beside, '203.0.113.1', 'anonymous'), await callerOf(beside, '203.0.113.9', 'anonymous'), await callerOf(elsewhere, '203.0.113.4', 'anonymous')]
    for (const caller of [first, bens, shared, far]) await pull(caller)
    await logIn(first)
    await fold()
    expect(await named()).toHaveLength(4)
    // In one commit: one more row in clear, the forgetting, and what was under way.
    await pull(second)
    await append(streams.users, SubjectForgotten({ user: ann, shared: [beside] }))
    await pull(second)
    await pull(same)
    await logIn(late)
    await fold()
    await pull(first)
    await fold()
    const rows = await named()
    expect(rows.filter(({ subject }) => subject === `user:${ann}`)).toEqual(Array(3).fill({ subject: `user:${ann}`, name: null, address: null, agent: null }))
    expect(rows.filter(({ subject }) => subject === `anonymous:${beside}`)).toEqual(Array(2).fill({ subject: `anonymous:${beside}`, name: null, address: null, agent: null }))
    expect(rows.filter(({ subject }) => subject === `anonymous:${elsewhere}`)).toMatchObject([{ address: '203.0.113.4', agent: 'agent' }])
    expect(rows.filter(({ subject }) => subject === `user:${ben}`)).toEqual([{ subject: `user:${ben}`, name: `name of ${ben}`, address: '203.0.113.1', agent: 'agent' }])
    expect((await pool.query(`select from ${schema}.users where name is not null`)).rowCount).toBe(1)
    folders = []
    expect(await verify({ pool, log, reads, onProgress: () => undefined })).toEqual([])
  })
})
