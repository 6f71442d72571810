import { usualImage } from '../images.ts'
import { hammer } from '../load.ts'
import { measureLoad } from '../measure.ts'
import type { OnRecord } from '../measure.ts'
import { EVERYBODY } from '../row.ts'
import type { Row } from '../row.ts'

const CONNECTIONS = [1, 16, 128, 1_024]

/** A HEAD by digest says nothing of who wants what, and is not recorded. */
const KINDS: readonly { readonly by: 'tag' | 'digest'; readonly method: 'GET' | 'HEAD'; readonly onRecord: OnRecord }[] = [
  { by: 'tag', method: 'GET', onRecord: 'counted' },
  { by: 'digest', method: 'GET', onRecord: 'counted' },
  { by: 'tag', method: 'HEAD', onRecord: 'noted' },
  { by: 'digest', method: 'HEAD', onRecord: 'none' },
]

export const manifestRows: readonly Row[] = KINDS.flatMap(({ by, method, onRecord }) =>
  CONNECTIONS.map((connections): Row => ({
    group: 'Manifests',
    name: `${method} manifest by ${by}, ${connections.toLocaleString('en')} ${connections === 1 ? 'connection' : 'connections'}`,
    unit: 'requests/s',
    registries: EVERYBODY,
    prepare: (registry) => usualImage.in(registry),
    async measure(registry, seconds) {
      const { port, headers } = registry
      const { byTag, byDigest } = await usualImage.in(registry)
      return measureLoad(registry, onRecord, async () => {
        const done = await hammer({ port, headers, method, path: by === 'tag' ? byTag : byDigest, connections, seconds })
        return { ...done, value: done.answered / done.seconds }
      })
    },
  })),
)
