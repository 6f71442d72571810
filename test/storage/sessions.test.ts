import { randomUUID } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { createPool } from '../../src/storage/postgres/pool.ts'
import { openSessionStore } from '../../src/storage/sessions.ts'
import { testDatabase } from '../support/postgres.ts'

it('knows whose each session is, over a restart, until it is removed or has ended', async () => {
  const database = await testDatabase()
  const pool = createPool({ ...database.connection, options: '-c synchronous_commit=off' })
  const begunAt = new Date()
  const session = { user: randomUUID(), credential: randomUUID(), begunAt, endsAt: new Date(begunAt.getTime() + 60_000) }
  const store = await openSessionStore(pool)
  expect(await store.get('one')).toBeUndefined()
  await store.create('one', session)
  await store.create('two', { ...session, endsAt: begunAt })
  expect(await (await openSessionStore(pool)).get('one')).toEqual(session)
  await store.removeEndedBefore(new Date(begunAt.getTime() + 1))
  expect(await store.get('two')).toBeUndefined()
  expect(await store.get('one')).toEqual(session)
  await store.remove('one')
  expect(await store.get('one')).toBeUndefined()
  // Of the removal alone.
  expect((await pool.query('show synchronous_commit')).rows).toEqual([{ synchronous_commit: 'off' }])
  await pool.end()
  await database.drop()
})
