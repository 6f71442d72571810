import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/names.ts'
import type { Recorded } from '../ports/event.ts'
import { repositoryOfStream } from '../ports/streams.ts'
import type { RepositoryKey } from '../ports/streams.ts'
import type { CatalogueQueries, ManifestRow } from './catalogue-queries.ts'
import { isActivity, isContent, stateFact } from './facts.ts'
import { createMemory } from './memory.ts'
import type { MaybeLater } from './memory.ts'

const MAX_ENTRIES = 100_000

export type CatalogueReader = ReturnType<typeof createCatalogueReader>

/**
 * What the pull path asks: in memory where it was asked before, else one indexed read. `forget` takes each event of the state lane
 * once its rows are committed, before its position is called visible.
 */
export function createCatalogueReader(queries: () => CatalogueQueries) {
  const tags = createMemory<Digest>(MAX_ENTRIES)
  const manifests = createMemory<ManifestRow>(MAX_ENTRIES)
  const blobs = createMemory<{ readonly sizeBytes: number }>(MAX_ENTRIES)
  /** A manifest's end ends tags whose names the event does not say: it starts a new generation of the repository's tags instead. */
  const generations = new Map<RepositoryKey, number>()

  const tagKey = (repository: RepositoryKey, tag: Tag): string => `${repository}@${generations.get(repository) ?? 0}:${tag}`
  const digestKey = (repository: RepositoryKey, digest: Digest): string => `${repository}@${digest}`

  return {
    tag: (repository: RepositoryKey, tag: Tag): MaybeLater<Digest> =>
      tags.get(tagKey(repository, tag), () => queries().tag(repository, tag)),

    manifest: (repository: RepositoryKey, digest: Digest): MaybeLater<ManifestRow> =>
      manifests.get(digestKey(repository, digest), () => queries().manifest(repository, digest)),

    async blob(repository: RepositoryKey, digest: Digest): Promise<number | undefined> {
      const found = await blobs.get(digestKey(repository, digest), async () => {
        const sizeBytes = await queries().blob(repository, digest)
        return sizeBytes === undefined ? undefined : { sizeBytes }
      })
      return found?.sizeBytes
    },

    forget({ event, stream }: Recorded): void {
      if (isActivity(event)) return
      const fact = stateFact(event)
      if (!isContent(fact)) return
      const repository = repositoryOfStream(stream)
      switch (fact.type) {
        case 'BlobUploaded':
        case 'BlobMounted':
          blobs.drop(digestKey(fact.data.repository, fact.data.digest))
          return
        case 'ManifestPushed':
          if (repository !== undefined) manifests.drop(digestKey(repository, fact.data.digest))
          return
        case 'TagAssigned':
        case 'TagDeleted':
          if (repository !== undefined) tags.drop(tagKey(repository, fact.data.tag))
          return
        case 'ManifestDeleted':
          if (repository === undefined) return
          manifests.drop(digestKey(repository, fact.data.digest))
          generations.set(repository, (generations.get(repository) ?? 0) + 1)
          return
        case 'BlobDeleted':
          if (repository !== undefined) blobs.drop(digestKey(repository, fact.data.digest))
          return
        case 'RepositoryCreated':
          return
      }
    },

    /** When another version of the read models goes live. */
    clear(): void {
      for (const memory of [tags, manifests, blobs]) memory.clear()
      // No entry and no read under way is left that a generation of the past could be taken for.
      generations.clear()
    },
  }
}
