import { randomUUID } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { Type } from '@sinclair/typebox'
import { LogNamed } from '../../src/commands/log/events.ts'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'
import { closed, eventType } from '../../src/ports/event.ts'
import { catalogueGroup, createVersion, prepareRegister, schemaName } from '../../src/projections/read-models.ts'
import { follow, openFolder } from '../../src/projections/runner.ts'
import { openPostgresLog } from '../../src/storage/events/postgres/log.ts'
import { createPool } from '../../src/storage/postgres/pool.ts'
import { eventOf, until } from '../storage/events/contract.ts'
import { testDatabase } from '../support/postgres.ts'

it('stops at an event of a type that this release does not know, and keeps what came before', async () => {
  const FromTheFuture = eventType('FromTheFuture', Type.Object({}, closed))
  const database = await testDatabase()
  const newer = await openPostgresLog(database.connection, createCodec([...eventTypes, FromTheFuture]))
  const log = await openPostgresLog(database.connection, createCodec(eventTypes))
  const pool = createPool({ ...database.connection, pipeline: true })
  await prepareRegister(pool)
  const reads = { manifest: () => Promise.resolve(undefined), openPrivate: () => Promise.resolve(undefined), forgotten: () => Promise.resolve() }
  const folder = await openFolder(pool, schemaName(await createVersion(pool)), catalogueGroup, reads)
  const nobody = { onCommitted: () => undefined, onInterrupted: () => undefined, onResumed: () => undefined }
  const ended = follow({ log, folder, group: catalogueGroup, signal: new AbortController().signal, pace: undefined, ...nobody })

  const named = await newer.append('log', -1, [eventOf(LogNamed({ log: 'unknown0' }))])
  await until(() => folder.checkpoint().position !== undefined)
  await newer.append(`future-${randomUUID()}`, -1, [eventOf(FromTheFuture({}))])
  await expect(ended).rejects.toThrow('does not know an event FromTheFuture')
  expect(named).toMatchObject({ status: 'appended', positions: [folder.checkpoint().position] })
  for (const each of [newer, log]) await each.close()
  await pool.end()
  await database.drop()
})
