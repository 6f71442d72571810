import { hammer } from '../load.ts'
import { measureLoad } from '../measure.ts'
import { blobPath } from '../images.ts'
import type { Image } from '../images.ts'
import { EVERYBODY } from '../row.ts'
import type { Row } from '../row.ts'

/** The layers of `image` of these sizes, by their place. */
export const BLOB_SIZES = [10_000, 1_000_000, 100_000_000] as const

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
  measure: (registry, { seconds, image }) =>
    measureLoad(registry, 'counted', async () => {
      const { port, headers } = registry
      const done = await hammer({ port, headers, method: 'GET', path: blobPath(layerOf(image, layer)), connections, seconds })
      return { ...done, value: unit === 'MB/s' ? done.bytes / 1e6 / done.seconds : done.answered / done.seconds }
    }),
}))

function layerOf({ layers }: Image, index: number): string {
  const layer = layers[index]
  if (layer === undefined) throw new Error(`the image has no layer ${index}`)
  return layer.digest
}
