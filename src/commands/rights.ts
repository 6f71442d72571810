import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/names.ts'
import type { RepositoryKey } from '../ports/streams.ts'

/** Who asks, as far as rights go. */
export type Subject = { readonly id: string; readonly administrator: boolean }

/**
 * The doors' questions. Every request for bytes, names or changes asks one of them; roles, robots, immutability, quota, signature and
 * scan policies come to stand here. Today there is one user, the administrator, who may do everything.
 */
export function mayPull(subject: Subject, _repository: RepositoryKey, _what: Digest | Tag | undefined, _now: Date): boolean {
  return subject.administrator
}

export function mayPush(subject: Subject, _repository: RepositoryKey, _what: Digest | Tag | undefined, _now: Date): boolean {
  return subject.administrator
}

export function mayDelete(subject: Subject, _repository: RepositoryKey, _what: Digest | Tag | undefined, _now: Date): boolean {
  return subject.administrator
}

export function mayCreateProject(subject: Subject, _name: string, _now: Date): boolean {
  return subject.administrator
}
