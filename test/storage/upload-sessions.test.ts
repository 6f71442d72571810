import { randomUUID } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { parseUploadId } from '../../src/ports/blob-store.ts'
import { repositoryKey } from '../../src/ports/streams.ts'
import { createPool } from '../../src/storage/postgres/pool.ts'
import { openUploadSessions } from '../../src/storage/upload-sessions.ts'
import { testDatabase } from '../support/postgres.ts'

it('knows which repository an upload belongs to, over a restart, until it is removed', async () => {
  const database = await testDatabase()
  const pool = createPool(database.connection)
  const id = parseUploadId(randomUUID())
  if (id === undefined) throw new Error('a UUID is an upload id')
  const session = { repository: repositoryKey(randomUUID(), 'app'), algorithm: 'sha512' } as const
  const sessions = await openUploadSessions(pool)
  expect(await sessions.get(id)).toBeUndefined()
  await sessions.create(id, session)
  expect(await (await openUploadSessions(pool)).get(id)).toEqual(session)
  expect(await sessions.begunBefore(new Date(Date.now() - 60_000))).toEqual([])
  expect(await sessions.begunBefore(new Date(Date.now() + 60_000))).toEqual([id])
  await sessions.remove(id)
  expect(await sessions.get(id)).toBeUndefined()
  await pool.end()
  await database.drop()
})
