import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/names.ts'
import type { RepositoryKey } from './streams.ts'

/** What of a repository a command names. */
export type RepositoryNames = { readonly tags: readonly Tag[]; readonly manifests: readonly Digest[]; readonly blobs: readonly Digest[] }

export type RepositoryRows = {
  /** The revision of the repository's stream that the rows stand at; -1 where none of its events was folded yet. */
  readonly revision: number
  readonly exists: boolean
  readonly tags: ReadonlyMap<Tag, Digest>
  /** Manifests ever pushed: live or ended. */
  readonly manifests: ReadonlyMap<Digest, boolean>
  /** Blobs ever rightfully held: held now or not. */
  readonly blobs: ReadonlyMap<Digest, boolean>
}

export type ProjectsRows = { readonly revision: number; readonly lastNumber: number; readonly named: string | undefined }

/** What decisions start from: rows of one snapshot, which may be behind the log. Their cost does not grow with history. */
export interface DecisionRows {
  repository(repository: RepositoryKey, names: RepositoryNames): Promise<RepositoryRows>
  projects(name: string): Promise<ProjectsRows>
}
