import { startStandIn } from '../../../support/eventstoredb.ts'
import { describeEventLog } from '../contract.ts'
import { newSpace, openLog } from './opened.ts'

describeEventLog('EventStoreDB', async () => {
  const server = await startStandIn()
  const space = newSpace()
  const { log } = await openLog(server, space)
  return {
    log,
    second: async () => (await openLog(server, space)).log,
    async end() {
      await log.close()
      await server.stop()
    },
  }
})
