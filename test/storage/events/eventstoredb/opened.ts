import { randomBytes } from 'node:crypto'
import { createCodec } from '../../../../src/commands/codec.ts'
import { eventTypes } from '../../../../src/commands/event-types.ts'
import type { Alarm } from '../../../../src/storage/events/eventstoredb/alarms.ts'
import { LogClient } from '../../../../src/storage/events/eventstoredb/client.ts'
import { openEventStoreLog } from '../../../../src/storage/events/eventstoredb/log.ts'
import type { EventStoreLog } from '../../../../src/storage/events/eventstoredb/log.ts'
import type { Reason } from '../../../../src/storage/events/eventstoredb/verdict.ts'

export type OpenedLog = {
  readonly log: EventStoreLog
  /** `append: unavailable` and the like, in order. */
  readonly retries: string[]
  readonly reasons: Set<Reason>
  readonly alarms: Alarm[]
}

export const newSpace = (): string => `t${randomBytes(5).toString('hex')}`

/** A server, or the nodes of a cluster. */
type Server = { readonly port: number } | { readonly nodes: readonly { readonly port: number }[] }

const settingsOf = (server: Server) => {
  const nodes = 'nodes' in server ? server.nodes : [server]
  return { nodes: nodes.map(({ port }) => ({ address: '127.0.0.1', port })), discover: false, user: undefined, tls: undefined }
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
