import { usualImage } from '../images.ts'
import { hammer } from '../load.ts'
import { measureLoad } from '../measure.ts'
import { EVERYBODY } from '../row.ts'
import type { Row } from '../row.ts'

/** `layer` is the place of a layer of this size in the usual image. */
const LOADS = [
  { size: '10 kB', layer: 0, connections: 16, unit: 'requests/s' },
  { size: '10 kB', layer: 0, connections: 128, unit: 'requests/s' },
  { size: '1 MB', layer: 1, connections: 16, unit: 'MB/s' },
  { size: '100 MB', layer: 2, connections: 4, unit: 'MB/s' },
] as const

export const blobRows: readonly Row[] = LOADS.map(({ size, layer, connections, unit }): Row => ({
  group: 'Blobs',
  name: `GET blob of ${size}, ${connections} connections`,
  unit,
  registries: EVERYBODY,
  prepare: (registry) => usualImage.in(registry),
  async measure(registry, seconds) {
    const { port, headers } = registry
    const path = (await usualImage.in(registry)).layers[layer] ?? ''
    return measureLoad(registry, 'counted', async () => {
      const done = await hammer({ port, headers, method: 'GET', path, connections, seconds })
      return { ...done, value: unit === 'MB/s' ? done.bytes / 1e6 / done.seconds : done.answered / done.seconds }
    })
  },
}))
