import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { openPostgresLog } from '../../../src/storage/events/postgres/log.ts'
import { testDatabase } from '../../support/postgres.ts'
import { describeEventLog } from './contract.ts'

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
