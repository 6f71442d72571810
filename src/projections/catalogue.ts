import type { Manifest } from '../oci/manifest.ts'
import type { Recorded } from '../ports/event.ts'
import { positionNumber } from '../ports/position.ts'
import { repositoryOfStream, splitRepositoryKey, streams } from '../ports/streams.ts'
import { put, set } from './projection.ts'
import type { Change, FoldContext, Projection, Table } from './projection.ts'
import { isContent, stateFact } from './facts.ts'
import type { ContentFact } from './facts.ts'

/** Where each stream that decisions are taken on stood when the rows were as they are: a decision folds what came after. */
const heads: Table = { name: 'heads', columns: { stream: 'text', revision: 'bigint' }, key: ['stream'] }

const repositories: Table = {
  name: 'repositories',
  columns: { repository: 'text', project: 'text', path: 'text', number: 'bigint', created_at: 'timestamptz' },
  key: ['repository'],
  keep: ['number', 'created_at'],
  indexes: ['(project, path)'],
}

/** How many repositories were made in each project: a total that nobody has to count. */
const repositoryCounts: Table = { name: 'repository_counts', columns: { project: 'text', repositories: 'bigint' }, key: ['project'] }

/** A tag's every life: it pointed at `digest` from `from_pos` on, until `to_pos` (null: still). */
const tags: Table = {
  name: 'tags',
  columns: {
    repository: 'text',
    name: 'text',
    digest: 'text',
    from_pos: 'bigint',
    from_at: 'timestamptz',
    to_pos: 'bigint',
    to_at: 'timestamptz',
    number: 'bigint',
  },
  key: ['repository', 'name', 'from_pos'],
  lookups: ['unique (repository, name) where to_pos is null', '(repository, digest) where to_pos is null'],
}

const manifests: Table = {
  name: 'manifests',
  columns: {
    repository: 'text',
    digest: 'text',
    live: 'boolean',
    media_type: 'text',
    size: 'bigint',
    subject: 'text',
    artifact_type: 'text',
    annotations: 'text',
    pushed_at: 'timestamptz',
    number: 'bigint',
  },
  key: ['repository', 'digest'],
  keep: ['number'],
  indexes: ['(repository, subject, digest) where live and subject is not null'],
}

/** A row stands for ever once the repository rightfully held the blob; `linked` says whether it holds it now. */
const blobs: Table = {
  name: 'blobs',
  columns: { repository: 'text', digest: 'text', size: 'bigint', linked: 'boolean' },
  key: ['repository', 'digest'],
  indexes: ['(digest) where linked'],
}

/** What there is: repositories, tags with the times at which they were so, manifests, blobs by repository, referrers. */
export const catalogue: Projection = {
  name: 'catalogue',
  tables: [heads, repositories, repositoryCounts, tags, manifests, blobs],
  needs(event) {
    const fact = stateFact(event)
    return fact.type === 'ManifestPushed' ? { manifest: fact.data } : {}
  },
  fold(recorded, context): readonly Change[] {
    const { stream, revision } = recorded
    const fact = stateFact(recorded.event)
    const changes = isContent(fact) ? changesOf(fact, recorded, context) : []
    return isDecidedOn(stream) ? [...changes, put(heads, { stream, revision })] : changes
  },
}

/** An upload's stream is its own and has one event; `log` is written by starts alone. */
function isDecidedOn(stream: string): boolean {
  return !stream.startsWith('upload-') && stream !== streams.log
}

function changesOf(fact: ContentFact, recorded: Recorded, context: FoldContext): readonly Change[] {
  const repository = repositoryOfStream(recorded.stream) ?? ''
  const at = context.asOf
  const pos = positionNumber(recorded.position)
  switch (fact.type) {
    case 'BlobUploaded':
    case 'BlobMounted': {
      const { digest, size } = fact.data
      return [put(blobs, { repository: fact.data.repository, digest, size, linked: true })]
    }
    case 'RepositoryCreated': {
      const { project, path } = splitRepositoryKey(repository)
      return [
        put(repositories, { repository, project, path, number: context.ordinal, created_at: at }),
        { kind: 'add', table: repositoryCounts, key: { project }, count: { repositories: 1 }, latest: {} },
      ]
    }
    case 'ManifestPushed': {
      const { digest, mediaType, size, subject } = fact.data
      const { manifest } = context
      const row = {
        repository,
        digest,
        live: true,
        media_type: mediaType,
        size,
        subject: subject ?? null,
        artifact_type: manifest?.artifactType ?? null,
        annotations: annotationsOf(manifest),
        pushed_at: at,
        number: context.ordinal,
      }
      const relinked = (manifest?.blobs ?? []).map((blob) => set(blobs, { repository, digest: blob.digest, linked: false }, { linked: true }))
      return [put(manifests, row), ...relinked]
    }
    case 'TagAssigned': {
      const { tag, digest } = fact.data
      return [
        set(tags, { repository, name: tag, to_pos: null }, { to_pos: pos, to_at: at }),
        put(tags, { repository, name: tag, digest, from_pos: pos, from_at: at, to_pos: null, to_at: null, number: context.ordinal }),
      ]
    }
    case 'TagDeleted':
      return [set(tags, { repository, name: fact.data.tag, to_pos: null }, { to_pos: pos, to_at: at })]
    case 'ManifestDeleted': {
      const { digest } = fact.data
      return [
        set(manifests, { repository, digest }, { live: false }),
        set(tags, { repository, digest, to_pos: null }, { to_pos: pos, to_at: at }),
      ]
    }
    case 'BlobDeleted':
      return [set(blobs, { repository, digest: fact.data.digest }, { linked: false })]
  }
}

/** Kept for manifests that refer to another: a list of referrers shows them, and must not open each manifest for it. */
function annotationsOf(manifest: Manifest | undefined): string | null {
  return manifest?.subject === undefined || manifest.annotations === undefined ? null : JSON.stringify(manifest.annotations)
}
