import { expect, it } from '@jest/globals'
import { Client } from 'pg'
import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { LogNamed } from '../../../src/commands/log/events.ts'
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
