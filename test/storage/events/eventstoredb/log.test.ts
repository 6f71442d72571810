import { startStandIn } from '../../../support/eventstoredb.ts'
import { describeEventLog } from '../contract.ts'
import { newSpace, openLog } from './opened.ts'

/** A server of the user's own (`npm run test:eventstoredb`). */
const live = process.env['VARVE_TEST_EVENTSTORE_URL']

describeEventLog('EventStoreDB', async () => {
  const standIn = live === undefined ? await startStandIn() : undefined
  const server = { url: live ?? standIn?.url ?? '' }
  const space = newSpace()
  if (live !== undefined) process.stderr.write(`space ${space}\n`)
  const { log } = await openLog(server, space)
  return {
    log,
    second: async () => (await openLog(server, space)).log,
    async end() {
      await log.close()
      await standIn?.stop()
    },
  }
})
