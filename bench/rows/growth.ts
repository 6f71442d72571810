import { sharedFilled } from '../large.ts'
import type { Filler } from '../large.ts'
import { hammerTags } from '../load.ts'
import { measureLoad } from '../measure.ts'
import type { Row } from '../row.ts'

/** What is asked for, the same in each: so many tags of one repository. */
const TAGS = 1_000
const REPOSITORY = 'app-0'
const [REPOSITORIES, MANIFESTS_EACH] = [100, 10_000]
const MANY_PULLS = 10_000_000

/** Registries that differ in one thing alone. */
const SIZES: readonly { readonly name: string; readonly fill: (filler: Filler) => Promise<void> }[] = [
  {
    name: '1,000 manifests and 1,000 pulls',
    async fill(filler) {
      await filler.pulls(REPOSITORY, await filler.manifests(REPOSITORY, TAGS), 1_000)
    },
  },
  {
    name: '1,000,000 manifests',
    async fill(filler) {
      for (let index = 0; index < REPOSITORIES; index += 1) await filler.manifests(`app-${index}`, MANIFESTS_EACH)
    },
  },
  {
    name: '10,000,000 pulls',
    async fill(filler) {
      await filler.pulls(REPOSITORY, await filler.manifests(REPOSITORY, TAGS), MANY_PULLS)
    },
  },
]

const REGISTRIES_OF_SIZES = SIZES.map(({ name, fill }) => ({ name, filled: sharedFilled(fill) }))

/** The same load on a small registry, on one with a million manifests, and on one with ten million pulls. */
export const growthRows: readonly Row[] = [16, 128].flatMap((connections) =>
  REGISTRIES_OF_SIZES.map(({ name, filled }): Row => ({
    group: 'Growth',
    name: `GET manifest by one of 1,000 tags, ${connections} connections, in a registry of ${name}`,
    unit: 'requests/s',
    registries: ['Varve'],
    prepare: filled.get,
    end: filled.end,
    async measure(_, seconds) {
      const registry = await filled.get()
      const { port, headers } = registry
      return measureLoad(registry, 'counted', async () => {
        const path = `/v2/library/${REPOSITORY}/manifests/t*`
        const done = await hammerTags({ port, headers, method: 'GET', path, connections, seconds }, TAGS)
        return { ...done, value: done.answered / done.seconds }
      })
    },
  })),
)
