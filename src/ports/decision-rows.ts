import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/names.ts'
import type { Sealed } from './key-store.ts'
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

/** A set of things: the revision of its stream, and the last number that it gave. */
export type SetRows = { readonly revision: number; readonly lastNumber: number }

export type UserRows = {
  readonly id: string
  readonly live: boolean
  readonly forgotten: boolean
  readonly administrator: boolean
  readonly auditor: boolean
  readonly sealed: Sealed
}

/** A robot's terms, as its events have them. */
export type Terms = {
  readonly description: string
  readonly disabled: boolean
  readonly expiresAt: string | null
  readonly permissions: RobotPermissionRows[]
  readonly workloads: { issuer: string; audience: string; subject: string; claims: Record<string, string> }[]
}
type AccessRows = { resource: string; action: string }[]
type RobotPermissionRows = { kind: 'system'; access: AccessRows } | { kind: 'project'; project: string; access: AccessRows }

/** What decisions start from: rows of one snapshot, which may be behind the log. Their cost does not grow with history. */
export interface DecisionRows {
  /** Of what a command names, what the repository has or had. */
  repository(repository: RepositoryKey, names: RepositoryNames): Promise<RepositoryRows>
  /** The projects that live, by id, of what is asked, and the events that began to delete them. */
  projects(asked: { readonly name: string } | { readonly id: string }): Promise<
    SetRows & { readonly names: ReadonlyMap<string, string>; readonly deletions: ReadonlyMap<string, string> }
  >
  /** `members`: keys; those that are there are answered. */
  project(id: string, members: readonly string[]): Promise<{
    readonly revision: number
    readonly live: boolean
    readonly visibility: 'public' | 'private'
    readonly members: readonly { readonly member: string; readonly role: string }[]
    readonly metadata: ReadonlyMap<string, string>
  }>
  /** The user of an id, and the live ones of a folded name or mail address, or of what they are called outside; and who is administrator. */
  users(asked: { readonly id: string; readonly name: string | undefined; readonly email: string | undefined; readonly external?: string | undefined }): Promise<
    SetRows & { readonly users: readonly UserRows[]; readonly administrators: readonly string[] }
  >
  /** `groups`: ids of those that the last login showed. Of somebody who is not there, none. */
  user(id: string): Promise<{ readonly revision: number; readonly groups: readonly string[] }>
  /** The groups that live, of ids and keys. */
  groups(asked: { readonly ids: readonly string[]; readonly keys: readonly string[] }): Promise<
    SetRows & { readonly groups: readonly { readonly id: string; readonly key: string; readonly name: string }[] }
  >
  /** The robots that live, of an id or of a name in a project. */
  robots(asked: { readonly id: string } | { readonly name: string; readonly project: string | undefined }): Promise<
    SetRows & { readonly robots: readonly { readonly id: string; readonly name: string; readonly project: string | undefined }[] }
  >
  /** `terms`: undefined where no such robot lives. */
  robot(id: string): Promise<{ readonly revision: number; readonly terms: Terms | undefined }>
  /** The settings that are not at their default, and the names of the secrets that are set. */
  settings(): Promise<{
    readonly revision: number
    readonly values: readonly (readonly [string, string | number | boolean | null])[]
    readonly secrets: readonly string[]
  }>
}
