import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/names.ts'
import type { RepositoryNames, RepositoryRows } from '../ports/decision-rows.ts'
import { streams } from '../ports/streams.ts'
import type { RepositoryKey } from '../ports/streams.ts'
import type { Rows } from './versioned-queries.ts'

export type ManifestRow = { readonly digest: Digest; readonly mediaType: string; readonly sizeBytes: number }
export type ReferrerRow = ManifestRow & { readonly artifactType: string | undefined; readonly annotations: Readonly<Record<string, string>> | undefined }

export type CatalogueQueries = ReturnType<typeof catalogueQueries>

/** The catalogue's queries over the version of the read models that is shown. Each is one statement, and so one snapshot. */
export function catalogueQueries(rows: Rows) {
  return {
    async tag(repository: RepositoryKey, tag: Tag): Promise<Digest | undefined> {
      const found = await rows<{ digest: Digest }>(
        'tag',
        (schema) => `select digest from ${schema}.tags where repository = $1 and name = $2 and to_pos is null`,
        [repository, tag],
      )
      return found[0]?.digest
    },

    async manifest(repository: RepositoryKey, digest: Digest): Promise<ManifestRow | undefined> {
      const found = await rows<{ media_type: string; size: string }>(
        'manifest',
        (schema) => `select media_type, size from ${schema}.manifests where repository = $1 and digest = $2 and live`,
        [repository, digest],
      )
      return found[0] && { digest, mediaType: found[0].media_type, sizeBytes: Number(found[0].size) }
    },

    /** The size of a blob that the repository holds. */
    async blob(repository: RepositoryKey, digest: Digest): Promise<number | undefined> {
      const found = await rows<{ size: string }>(
        'blob',
        (schema) => `select size from ${schema}.blobs where repository = $1 and digest = $2 and linked`,
        [repository, digest],
      )
      return found[0] && Number(found[0].size)
    },

    /** Repositories that hold a blob, for a mount without a source: the caller's rights are asked for each. */
    async repositoriesWithBlob(digest: Digest, limit: number): Promise<{ repository: RepositoryKey; sizeBytes: number }[]> {
      const found = await rows<{ repository: RepositoryKey; size: string }>(
        'holders',
        (schema) => `select repository, size from ${schema}.blobs where digest = $1 and linked limit $2`,
        [digest, limit],
      )
      return found.map((row) => ({ repository: row.repository, sizeBytes: Number(row.size) }))
    },

    /** Whether a manifest was ever pushed there. */
    async repositoryExists(repository: RepositoryKey): Promise<boolean> {
      return (await rows('repository', (schema) => `select 1 from ${schema}.repositories where repository = $1`, [repository])).length > 0
    },

    /** A page of tag names after `last`, in the order of their bytes. */
    async tagNames(repository: RepositoryKey, last: string, limit: number): Promise<Tag[]> {
      const found = await rows<{ name: Tag }>(
        'tags',
        (schema) => `select name from ${schema}.tags where repository = $1 and to_pos is null and name > $2 order by name limit $3`,
        [repository, last, limit],
      )
      return found.map((row) => row.name)
    },

    /**
     * A page of repository names that hold a manifest, ordered by project and then path. `afterProject` and `afterPath` are the
     * last ones of the page before; `projects`, where they are given, the ids of the only ones to look at.
     */
    async repositoryNames(afterProject: string, afterPath: string, limit: number, projects: readonly string[] | undefined): Promise<{ name: string; repository: RepositoryKey }[]> {
      const found = await rows<{ project: string; path: string; repository: RepositoryKey }>(
        'catalogue',
        (schema) => `select p.name as project, r.path, r.repository
         from ${schema}.projects p join ${schema}.repositories r on r.project = p.id
         where p.live and (p.name, r.path) > ($1, $2) and ($4::text[] is null or p.id = any($4)) and exists (select 1 from ${schema}.manifests m where m.repository = r.repository and m.live)
         order by p.name, r.path limit $3`,
        [afterProject, afterPath, limit, projects ?? null],
      )
      return found.map((row) => ({ name: `${row.project}/${row.path}`, repository: row.repository }))
    },

    /** A page of the live manifests that name `subject`, by digest, after `last`. */
    async referrers(repository: RepositoryKey, subject: Digest, artifactType: string | undefined, last: string, limit: number): Promise<ReferrerRow[]> {
      const found = await rows<{ digest: Digest; media_type: string; size: string; artifact_type: string | null; annotations: string | null }>(
        'referrers',
        (schema) => `select digest, media_type, size, artifact_type, annotations from ${schema}.manifests
         where repository = $1 and subject = $2 and live and digest > $3 and ($4::text is null or artifact_type = $4)
         order by digest limit $5`,
        [repository, subject, last, artifactType ?? null, limit],
      )
      return found.map((row) => ({
        digest: row.digest,
        mediaType: row.media_type,
        sizeBytes: Number(row.size),
        artifactType: row.artifact_type ?? undefined,
        annotations: row.annotations === null ? undefined : (JSON.parse(row.annotations) as Record<string, string>),
      }))
    },

    async repository(repository: RepositoryKey, named: RepositoryNames): Promise<RepositoryRows> {
      const found = await rows<{ kind: string; name: string; digest: string; live: boolean; number: string }>(
        'decision',
        (schema) => `select 'head' as kind, '' as name, '' as digest, true as live, revision as number from ${schema}.heads where stream = $5
         union all select 'repository', '', '', true, 0 from ${schema}.repositories where repository = $1
         union all select 'tag', name, digest, true, 0 from ${schema}.tags where repository = $1 and name = any($2) and to_pos is null
         union all select 'manifest', '', digest, live, 0 from ${schema}.manifests where repository = $1 and digest = any($3)
         union all select 'blob', '', digest, linked, 0 from ${schema}.blobs where repository = $1 and digest = any($4)`,
        [repository, named.tags, named.manifests, named.blobs, streams.repository(repository)],
      )
      const of = (kind: string) => found.filter((row) => row.kind === kind)
      return {
        revision: Number(of('head')[0]?.number ?? -1),
        exists: of('repository').length > 0,
        tags: new Map(of('tag').map((row) => [row.name as Tag, row.digest as Digest])),
        manifests: new Map(of('manifest').map((row) => [row.digest as Digest, row.live])),
        blobs: new Map(of('blob').map((row) => [row.digest as Digest, row.live])),
      }
    },
  }
}
