import { refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import type { RepositoryName } from '../../oci/names.ts'
import type { Registry } from '../registry.ts'

/** What a request that came without rights should have asked a token for. */
type Wanted = { readonly name?: RepositoryName; readonly action?: 'pull' | 'push' | 'delete'; readonly error?: 'insufficient_scope' | 'invalid_token'; readonly catalog?: true }

/** 401 and where a token is to be had (the Docker token protocol, RFC 6750 §3). */
export function unauthorized({ tokens }: Pick<Registry, 'tokens'>, { name, action, error, catalog }: Wanted = {}, message?: string): Refusal {
  // Who pushes asks what is there already, too.
  const actions = action === 'push' ? 'pull,push' : action
  const scope = name !== undefined && actions !== undefined ? `repository:${name}:${actions}` : catalog === true ? 'registry:catalog:*' : undefined
  return refusal('UNAUTHORIZED', message, { headers: { 'WWW-Authenticate': tokens.challenge({ scope, error }) } })
}
