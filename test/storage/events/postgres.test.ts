import { randomUUID } from 'node:crypto'
import { expect, it, jest } from '@jest/globals'
import { Client } from 'pg'
import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { ProcessStarted } from '../../../src/commands/activity/events.ts'
import { LogNamed } from '../../../src/commands/log/events.ts'
import { MAX_EVENT_BYTES } from '../../../src/ports/event-log.ts'
import { openPostgresLog } from '../../../src/storage/events/postgres/log.ts'
import { testDatabase } from '../../support/postgres.ts'
import { describeEventLog, eventOf } from './contract.ts'

it('appends durably and under read committed, or not at all', async () => {
  const database = await testDatabase()
  const log = await openPostgresLog(database.connection, createCodec(eventTypes))
  const client = new Client(database.connection)
  await client.connect()
  const call = "select * from varve_log.append_activity('activity-x', -1, gen_random_uuid(), '', '')"
  for (const setting of ['synchronous_commit = off', 'synchronous_commit = local', "default_transaction_isolation = 'repeatable read'"]) {
    await client.query(`set ${setting}`)
    await expect(client.query(call)).rejects.toThrow('the log is appended to')
    await client.query('reset all')
  }
  const { rows } = await client.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit') order by name",
  )
  expect(rows.map(({ setting }) => setting)).toEqual(['on', 'on', 'on'])
  // A server whose default is off does not make the log less durable: its sessions say for themselves.
  await client.query(`alter database ${database.connection.database} set synchronous_commit = off`)
  await client.end()
  await log.close()
  const again = await openPostgresLog(database.connection, createCodec(eventTypes))
  expect(await again.append('log', -1, [eventOf(LogNamed({ log: 'durable1' }))])).toMatchObject({ status: 'appended' })
  await again.close()
  await database.drop()
})

it.each([
  [7_000, "7 s ahead of the log's"],
  [-7_000, "7 s behind the log's"],
])('writes nothing by a clock that is %i ms off the server, says how, and goes on when it was put right', async (offset, message) => {
  const database = await testDatabase()
  const log = await openPostgresLog(database.connection, createCodec(eventTypes))
  const real = Date.now
  const clock = jest.spyOn(Date, 'now').mockImplementation(() => real() + offset)
  try {
    // The server's time comes with the answer to an append.
    expect(await log.append('log', -1, [eventOf(LogNamed({ log: 'clock001' }))])).toMatchObject({ status: 'appended' })
    const [stream, start] = [`activity-${randomUUID()}`, [eventOf(ProcessStarted({ release: '1' }))]]
    await expect(log.append(stream, -1, start)).rejects.toThrow(message)
    clock.mockRestore()
    expect(await log.append(stream, -1, start)).toMatchObject({ status: 'appended' })
  } finally {
    clock.mockRestore()
    await log.close()
    await database.drop()
  }
})

it('hands over a few megabytes at a time, whatever came before', async () => {
  const database = await testDatabase()
  const log = await openPostgresLog(database.connection, createCodec(eventTypes))
  await log.append('log', -1, [eventOf(LogNamed({ log: 'pages001' }))])
  const starts = (count: number, bytes: number): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, () => log.append(`activity-${randomUUID()}`, -1, [eventOf(ProcessStarted({ release: 'x'.repeat(bytes) }))])))
  const [few, large, many] = [40, MAX_EVENT_BYTES - 1_000, 2_500]
  await starts(few, large)
  await starts(many, 1)
  await starts(few, large)
  const [streams, counts]: [Set<string>, number[]] = [new Set(), [0]]
  let bytes = 0
  for await (const delivery of log.subscribe(['state', 'activity'], 'start', new AbortController().signal)) {
    if (delivery.kind === 'event') {
      streams.add(delivery.recorded.stream)
      counts.push((counts.pop() ?? 0) + 1)
      bytes += JSON.stringify(delivery.recorded.event).length
      continue
    }
    expect(bytes).toBeLessThan(4_000_000 + MAX_EVENT_BYTES)
    if (delivery.position === (await log.head())) break
    counts.push(0)
    bytes = 0
  }
  expect(streams.size).toBe(1 + few + many + few)
  expect(Math.max(...counts)).toBeLessThanOrEqual(500)
  expect(counts.length).toBeLessThan(12)
  await log.close()
  await database.drop()
})

it('does not forget an append that happens while another lane looks for the head', async () => {
  const database = await testDatabase()
  const log = await openPostgresLog(database.connection, createCodec(eventTypes))
  await log.append('log', -1, [eventOf(LogNamed({ log: 'overtake' }))])
  const end = new AbortController()
  // Nothing wakes those that follow state, so each asks for the head every 200 ms; some of their answers are overtaken by an append.
  const idle = Array.from({ length: 20 }, async () => {
    for await (const delivery of log.subscribe(['state'], 'start', end.signal)) expect(delivery).toBeDefined()
  })
  const began = Date.now()
  let appended = 0
  const appending = (async () => {
    while (Date.now() - began < 2_000) {
      await log.append(`activity-${randomUUID()}`, -1, [eventOf(ProcessStarted({ release: '1' }))])
      appended += 1
    }
  })()
  let seen = 0
  for await (const delivery of log.subscribe(['activity'], 'start', end.signal)) {
    if (delivery.kind === 'event') seen += 1
    // A subscription that spins lets nothing else in the process run; it still says where it stands.
    if (Date.now() - began > 2_500 && (seen === appended || Date.now() - began > 15_000)) break
  }
  const spun = Date.now() - began > 15_000
  end.abort()
  await Promise.all([appending, ...idle])
  expect(spun).toBe(false)
  expect(seen).toBe(appended)
  await log.close()
  await database.drop()
})

it('touches no more buffers for an append beside a snapshot that somebody holds', async () => {
  const database = await testDatabase()
  const log = await openPostgresLog(database.connection, createCodec(eventTypes))
  await log.append('log', -1, [eventOf(LogNamed({ log: 'buffers1' }))])
  const [client, holder] = [new Client(database.connection), new Client(database.connection)]
  await client.connect()
  await holder.connect()
  const stream = `activity-${randomUUID()}`
  let revision = -1

  /** Appends to one stream, one event after the other, as a process records its pulls. */
  async function append(count: number): Promise<void> {
    for (let done = 0; done < count; done += 1, revision += 1) {
      expect(await log.append(stream, revision, [eventOf(ProcessStarted({ release: '1' }))])).toMatchObject({ status: 'appended' })
    }
  }

  /** The buffers that one append touched, the middle of a few: now and then one of them splits a page. */
  async function buffers(): Promise<number> {
    const touched: number[] = []
    for (; touched.length < 21; revision += 1) {
      const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
        `explain (analyze, buffers, format json) select * from varve_log.append_activity('${stream}', ${revision}, gen_random_uuid(), '', '{}')`,
      )
      const plan = rows[0]?.['QUERY PLAN'][0].Plan
      touched.push((plan?.['Shared Hit Blocks'] ?? NaN) + (plan?.['Shared Read Blocks'] ?? NaN))
    }
    return touched.sort((a, b) => a - b)[10] ?? NaN
  }

  await append(1_000)
  // A session's first appends after another's touch fewer: it remembers where its own last row went.
  await buffers()
  await append(1_000)
  const before = await buffers()
  expect(before).toBeGreaterThan(5)
  await holder.query('begin isolation level repeatable read')
  await holder.query('select count(*) from varve_log.activity')
  await append(3_000)
  expect(await buffers()).toBeLessThanOrEqual(before)
  for (const each of [holder, client]) await each.end()
  await log.close()
  await database.drop()
})

describeEventLog('Postgres', async () => {
  const database = await testDatabase()
  const codec = createCodec(eventTypes)
  const log = await openPostgresLog(database.connection, codec)
  return {
    log,
    second: () => openPostgresLog(database.connection, codec),
    async end() {
      await log.close()
      await database.drop()
    },
  }
})
