import { runClient } from '../client/child.ts'
import type { StormAnswer, StormTask } from '../client/storm.ts'
import { sharedImage } from '../images.ts'
import { measureLoad } from '../measure.ts'
import type { Registry } from '../registry.ts'
import { EVERYBODY } from '../row.ts'
import type { Row } from '../row.ts'

const CLIENTS = 500
const LAYERS = 12
const image = sharedImage('library/storm', Array.from({ length: LAYERS }, () => 2_000_000))

async function storm(registry: Registry, clients: number): Promise<StormAnswer> {
  const { byTag, config, layers } = await image.in(registry)
  const { port, headers } = registry
  const task: StormTask = { port, headers, paths: [byTag, config, ...layers], clients }
  return (await runClient('storm', task)) as StormAnswer
}

const row = (name: string, before: (registry: Registry) => Promise<unknown>): Row => ({
  group: 'Storm',
  name: `storm, ${name}: ${CLIENTS} clients pull one image of ${LAYERS} layers`,
  unit: 's',
  registries: EVERYBODY,
  prepare: (registry) => image.in(registry),
  async measure(registry) {
    await before(registry)
    return measureLoad(registry, 'counted', async () => {
      const done = await storm(registry, CLIENTS)
      return { ...done, value: done.seconds }
    })
  },
})

/** Cold is the registry, not the disk: the system still has the files in its page cache. */
export const stormRows: readonly Row[] = [
  row('cold', (registry) => registry.restart()),
  row('warm', (registry) => storm(registry, 1)),
]
