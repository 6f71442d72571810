import { setTimeout as sleep } from 'node:timers/promises'
import { createAccess } from './access/access.ts'
import { createCalls } from './calls.ts'
import { createControl } from './control.ts'
import { createFaults } from './faults.ts'
import { openFront } from './front.ts'
import type { Front } from './front.ts'
import { createNode } from './node.ts'
import type { Node } from './node.ts'
import { USAGE, UsageError, parseOptions } from './options.ts'
import type { Options } from './options.ts'
import { watchOpenCalls } from './rpc/open-calls.ts'
import type { OpenCalls } from './rpc/open-calls.ts'
import { StreamsService } from './rpc/generated.ts'
import { createSubscriptions } from './rpc/outlet.ts'
import { createServices } from './rpc/services.ts'
import { createWeb } from './web.ts'

/** For how long a server that ends still answers, so that what waits is told. */
const GRACE_MS = 200

/** A server that answers as EventStoreDB does, for the tests: docs/eventstoredb.md says where that is known and where assumed. */
async function main({ host, port, folder, advertised, cluster, tls, readyAfterMs }: Options): Promise<void> {
  const openCalls = watchOpenCalls()
  const faults = createFaults()
  const subscriptions = createSubscriptions(faults)
  const node = createNode({
    folder,
    isSecure: tls !== undefined,
    self: () => ({ host: advertised, port: front.port }),
    peers: cluster.filter((address) => address.port !== port),
    // As the real server does, so that a supervisor starts it again and it follows.
    onDeposed: () => process.exit(0),
  })
  const calls = createCalls(node, faults, (peer) => {
    front.cut(peer)
  })
  const access = createAccess(node.log, tls !== undefined)
  const control = createControl({
    node,
    faults,
    calls,
    subscriptions,
    openCalls,
    cutAll: () => {
      front.cut()
    },
  })
  const front = await openFront({ host, port, tls }, createServices({ node, calls, access, subscriptions }), createWeb(control))
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void endInOrder(node, front, openCalls))
  console.log(`listening on ${host}:${front.port}`)
  await sleep(readyAfterMs)
  await node.start()
  console.log('ready')
}

/**
 * As the real server ends: subscriptions without a status, at once; appends that wait are told that they were interrupted, later ones that
 * the server is not ready; then every call is ended without a status, and no connection is taken any more.
 */
async function endInOrder(node: Node, front: Front, openCalls: OpenCalls): Promise<void> {
  await Promise.all([openCalls.reset(StreamsService.read.path), node.end()])
  await sleep(GRACE_MS)
  front.close()
  await openCalls.reset()
  await openCalls.closeConnections()
  process.exit(0)
}

try {
  await main(parseOptions(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\nusage: ${USAGE}`)
  process.exit(2)
}
