import { readFileSync } from 'node:fs'
import { createCodec } from '../../../../src/commands/codec.ts'
import { eventTypes } from '../../../../src/commands/event-types.ts'
import { loadConfig } from '../../../../src/config.ts'
import type { Alarm } from '../../../../src/storage/events/eventstoredb/alarms.ts'
import { LogClient } from '../../../../src/storage/events/eventstoredb/client.ts'
import type { ServerSettings } from '../../../../src/storage/events/eventstoredb/client.ts'
import { openEventStoreLog } from '../../../../src/storage/events/eventstoredb/log.ts'
import type { EventStoreLog } from '../../../../src/storage/events/eventstoredb/log.ts'
import type { Reason } from '../../../../src/storage/events/eventstoredb/verdict.ts'
import { newSpace } from '../../../support/spaces.ts'

export type OpenedLog = {
  readonly log: EventStoreLog
  /** `append: unavailable` and the like, in order. */
  readonly retries: string[]
  readonly reasons: Set<Reason>
  readonly alarms: Alarm[]
}

/** A server, or the nodes of a cluster. */
type Server = { readonly url: string } | { readonly nodes: readonly { readonly port: number }[] }

/** Where a server is, as the configuration of the registry says it. */
function settingsOf(server: Server): ServerSettings {
  const url = 'nodes' in server ? `esdb://${server.nodes.map(({ port }) => `127.0.0.1:${port}`).join()}?tls=false` : server.url
  const { log } = loadConfig({ VARVE_LOG: url })
  if (log?.kind !== 'eventstoredb') throw new Error('the URL is no esdb:// URL')
  const { nodes, discover, user, tls } = log
  return { nodes, discover, user, tls: tls && { ca: tls.caFile === undefined ? undefined : readFileSync(tls.caFile) } }
}

/** A client for what Varve does not do. Close it. */
export const newClient = (server: Server): LogClient => new LogClient(settingsOf(server))

/** A log in a space of a server, and what it told its observer. */
export async function openLog(server: Server, space: string = newSpace(), now: () => number = Date.now): Promise<OpenedLog> {
  const retries: string[] = []
  const reasons = new Set<Reason>()
  const alarms: Alarm[] = []
  const log = await openEventStoreLog({ ...settingsOf(server), space }, createCodec(eventTypes), {
    committed: () => undefined,
    retried: ({ what, reason }) => {
      retries.push(`${what}: ${reason}`)
      reasons.add(reason)
    },
    alarmed: (alarm) => alarms.push(alarm),
  }, now)
  return { log, retries, reasons, alarms }
}
