import { startStandIn } from '../../test/support/eventstoredb.ts'
import type { StandIn } from '../../test/support/eventstoredb.ts'
import { usualImage } from '../images.ts'
import { hammer } from '../load.ts'
import { measureLoad } from '../measure.ts'
import type { Registry, Trail } from '../registry.ts'
import type { Figures } from '../results.ts'
import type { Row } from '../row.ts'
import { startOwn } from '../varve.ts'

/** A Varve whose log stands on the stand-in for EventStoreDB. Its speed says little of a real server's; what it is asked for is the same. */
type OnStandIn = { readonly log: StandIn; readonly registry: Registry }

let started: Promise<OnStandIn> | undefined

const onStandIn = (): Promise<OnStandIn> => (started ??= start())

async function start(): Promise<OnStandIn> {
  const log = await startStandIn()
  return { log, registry: await startOwn({ VARVE_LOG: log.url }, inFiles(log)) }
}

async function end(): Promise<void> {
  const running = await started
  started = undefined
  await running?.registry.stop()
  await running?.log.stop()
}

/** What the stand-in's files hold, by a reader of their own. */
function inFiles(log: StandIn): Pick<Trail, 'head' | 'recordedAfter'> {
  return {
    head: () => Promise.resolve(Number(log.stored().at(-1)?.position ?? 0)),
    recordedAfter: (position) => Promise.resolve(pullsAfter(log, position).reduce((sum, { pulls }) => sum + pulls, 0)),
  }
}

function pullsAfter(log: StandIn, position: number): { readonly pulls: number; readonly sizeBytes: number }[] {
  return log.stored().flatMap(({ type, position: at, data, sizeBytes }) => {
    if (type !== 'PullsRecorded' || at <= position) return []
    const { pulls } = JSON.parse(data.toString()) as { readonly pulls: readonly unknown[] }
    return [{ pulls: pulls.length, sizeBytes }]
  })
}

/** The load, and what a thousand of its pulls cost the log. */
async function pull(
  { log, registry }: OnStandIn, connections: number, seconds: number,
): Promise<{ readonly figures: Figures; readonly costs: Readonly<Record<'appends' | 'events' | 'bytes', number>> }> {
  const { port, headers } = registry
  const { byTag } = await usualImage.in(registry)
  const position = await inFiles(log).head()
  const before = (await log.status()).calls.append
  const figures = await measureLoad(registry, 'counted', async () => {
    const done = await hammer({ port, headers, method: 'GET', path: byTag, connections, seconds })
    return { ...done, value: done.answered / done.seconds }
  })
  const recorded = pullsAfter(log, position)
  const thousands = recorded.reduce((sum, { pulls }) => sum + pulls, 0) / 1_000
  const bytes = recorded.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const appends = (await log.status()).calls.append - before
  return { figures, costs: { appends: appends / thousands, events: recorded.length / thousands, bytes: bytes / thousands } }
}

export const eventStoreRows: readonly Row[] = [16, 128].flatMap((connections) => [
  {
    group: 'The log on EventStoreDB (the stand-in)',
    name: `GET manifest by tag, ${connections} connections, the log on the stand-in for EventStoreDB`,
    unit: 'requests/s' as const,
    registries: ['Varve' as const],
    prepare: onStandIn,
    end,
    measure: async (_, seconds) => (await pull(await onStandIn(), connections, seconds)).figures,
  },
  ...(['appends', 'events', 'bytes'] as const).map((unit): Row => ({
    group: 'The log on EventStoreDB (the stand-in)',
    name: `${unit} a thousand pulls, ${connections} connections, the log on the stand-in for EventStoreDB`,
    unit,
    registries: ['Varve'],
    rounds: 1,
    prepare: onStandIn,
    end,
    measure: async (_, seconds) => ({ value: (await pull(await onStandIn(), connections, seconds)).costs[unit] }),
  })),
])
