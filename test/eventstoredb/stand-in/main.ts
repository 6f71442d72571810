import { setTimeout as sleep } from 'node:timers/promises'
import { openFront } from './front.ts'
import { createNode } from './node.ts'
import { USAGE, UsageError, parseOptions } from './options.ts'
import type { Options } from './options.ts'
import { createServices } from './rpc/services.ts'
import { createWeb } from './web.ts'

/** A server that answers as EventStoreDB does, for the tests: docs/eventstoredb.md says where that is known and where assumed. */
async function main({ host, port, folder, readyAfterMs }: Options): Promise<void> {
  let listensOn = port
  const node = createNode(folder, () => ({ host, port: listensOn }))
  const front = await openFront(host, port, createServices(node), createWeb(node))
  listensOn = front.port
  console.log(`listening on ${host}:${front.port}`)
  await sleep(readyAfterMs)
  await node.start(() => process.exit(0))
  console.log('ready')
}

try {
  await main(parseOptions(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\nusage: ${USAGE}`)
  process.exit(2)
}
