import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { sharedFilled, tagOf } from '../large.ts'
import { hammer } from '../load.ts'
import { measureLoad } from '../measure.ts'
import type { Registry } from '../registry.ts'
import type { RegistryName } from '../results.ts'
import type { Row } from '../row.ts'

const [LARGE, SMALL, REFERRED] = [100_000, 1_000, 10_000]
const PAGE = 1_000
const CONNECTIONS = 4
/** distribution takes a second and more for a page of 100,000 tags. */
const SLOW_SECONDS = 3
/** What the referrers refer to; it need not be there. */
const subject = digestOf('sha256', Buffer.from('what everybody signs'))

const filled = sharedFilled(async (filler) => {
  await filler.manifests('large', LARGE)
  await filler.manifests('small', SMALL)
  await filler.manifests('referred', REFERRED, subject)
})

/** The tags of the other registries, as files in the layout that both have: all that a list of tags looks at. */
function fillPeer({ folder }: Registry): void {
  for (const [name, count] of [['large', LARGE], ['small', SMALL]] as const) {
    const tags = join(folder, `docker/registry/v2/repositories/library/${name}/_manifests/tags`)
    mkdirSync(tags, { recursive: true })
    for (let index = 0; index < count; index += 1) {
      const tag = join(tags, tagOf(index))
      mkdirSync(tag)
      mkdirSync(`${tag}/current`)
      writeFileSync(`${tag}/current/link`, subject)
    }
  }
}

const filledPeers = new WeakSet<Registry>()

/** The registry with large repositories: of Varve another one than the rest is measured on, of the others the same. */
async function large(registry: Registry): Promise<Registry> {
  if (registry.name === 'Varve') return filled.get()
  if (!filledPeers.has(registry)) fillPeer(registry)
  filledPeers.add(registry)
  return registry
}

function listRow(name: string, path: string, registries: readonly RegistryName[]): Row {
  return {
    group: 'Lists',
    name,
    unit: 'requests/s',
    registries,
    prepare: large,
    end: filled.end,
    async measure(registry, seconds) {
      const target = await large(registry)
      const { port, headers } = target
      return measureLoad(target, 'none', async () => {
        const task = { port, headers, method: 'GET', path, connections: CONNECTIONS, seconds: Math.max(SLOW_SECONDS, seconds) } as const
        const done = await hammer(task)
        return { ...done, value: done.answered / done.seconds }
      })
    },
  }
}

/** docker-registry keeps and lists tags as distribution does, and nginx has no lists. */
const REGISTRIES: readonly RegistryName[] = ['Varve', 'distribution']
const page = (repository: string, after: number): string =>
  `/v2/library/${repository}/tags/list?n=${PAGE}${after === 0 ? '' : `&last=${tagOf(after - 1)}`}`

/** distribution has no list of referrers. */
export const listRows: readonly Row[] = [
  listRow('list 1,000 tags of 1,000', page('small', 0), REGISTRIES),
  listRow('list 1,000 tags of 100,000: the first', page('large', 0), REGISTRIES),
  listRow('list 1,000 tags of 100,000: in the middle', page('large', LARGE / 2), REGISTRIES),
  listRow('list 1,000 tags of 100,000: the last', page('large', LARGE - PAGE), REGISTRIES),
  listRow('list 1,000 referrers of 10,000', `/v2/library/referred/referrers/${subject}?n=${PAGE}`, ['Varve']),
]

export const startRows: readonly Row[] = [
  {
    group: 'Start',
    name: 'start with 100,000 manifests, until it is ready',
    unit: 's',
    registries: REGISTRIES,
    prepare: large,
    end: filled.end,
    async measure(registry) {
      return { value: await (await large(registry)).restart() }
    },
  },
]
