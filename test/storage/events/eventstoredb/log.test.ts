import { reachEventStore } from '../../../support/eventstoredb.ts'
import { newSpace } from '../../../support/spaces.ts'
import { describeEventLog } from '../contract.ts'
import { openLog } from './opened.ts'

describeEventLog('EventStoreDB', async () => {
  const server = await reachEventStore()
  const space = newSpace()
  const { log } = await openLog(server, space)
  return {
    log,
    second: async () => (await openLog(server, space)).log,
    async end() {
      await log.close()
      await server.standIn?.stop()
    },
  }
})
