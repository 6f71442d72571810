import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ClientConfig } from 'pg'
import type { Metrics } from '../api/metrics.ts'
import type { Opened } from '../cli/opened.ts'
import { alarmsAggregate } from '../commands/alarm/aggregate.ts'
import { createCodec } from '../commands/codec.ts'
import { eventTypes } from '../commands/event-types.ts'
import { createHandler } from '../commands/handle.ts'
import type { Config, EventStoreLocation } from '../config.ts'
import type { Logger } from '../logger.ts'
import type { ServerSettings } from '../storage/events/eventstoredb/client.ts'
import { openEventStoreLog } from '../storage/events/eventstoredb/log.ts'
import { openPostgresLog } from '../storage/events/postgres/log.ts'

/** How often the same trouble with the log is told of. */
const RETRY_LINE_MS = 10_000
/** What is kept of an alarm's detail, in characters. */
const MAX_DETAIL = 1_000

export async function serverSettings({ nodes, discover, user, tls }: EventStoreLocation): Promise<ServerSettings> {
  return { nodes, discover, user, tls: tls && { ca: tls.caFile === undefined ? undefined : await readFile(tls.caFile) } }
}

/** Opens the log where the configuration says that it is. */
export async function openLog(config: Config, postgres: ClientConfig, logger: Logger, metrics: Metrics): Promise<Opened['log']> {
  const codec = createCodec(eventTypes)
  const committed = ({ events, seconds }: { readonly events: number; readonly seconds: number }): void => {
    metrics.committed(events, seconds)
  }
  if (config.log === undefined) return openPostgresLog(postgres, codec, committed)
  if (config.log.kind === 'postgres') return openPostgresLog({ connectionString: config.log.url }, codec, committed)

  const settings = { ...(await serverSettings(config.log)), space: config.log.space }
  const told = new Map<string, number>()
  const log = await openEventStoreLog(settings, codec, {
    committed,
    retried({ what, reason, error }) {
      metrics.retried(what, reason)
      // A hundred appends fail at once, and once more at each try.
      if (performance.now() - (told.get(`${what} ${reason}`) ?? -Infinity) < RETRY_LINE_MS) return
      told.set(`${what} ${reason}`, performance.now())
      logger.warn({ err: error, what, reason }, 'the log gave no answer: it is asked again')
    },
    alarmed({ tampering, stream, detail }) {
      metrics.tampered(tampering)
      logger.error({ tampering, stream, detail }, 'ALARM: somebody changed what the log keeps')
      const alarm = { tampering, stream, detail: detail.slice(0, MAX_DETAIL) }
      const system = { actor: { kind: 'system', subject: randomUUID() }, now: () => new Date() } as const
      createHandler(log)(alarmsAggregate, alarm, system).catch((err: unknown) => {
        logger.error({ err, tampering, stream }, 'the alarm could not be written to the log')
      })
    },
  })
  metrics.watchLeader(() => log.leader())
  metrics.watchSubscriptions(() => log.behind())
  return log
}
