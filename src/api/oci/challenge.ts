import { refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import type { RepositoryName } from '../../oci/names.ts'
import type { Access } from '../../identity/tokens/scope.ts'
import type { AuthRefusal } from '../authenticate.ts'
import type { Registry } from '../registry.ts'

/** What a request that came without rights should have asked a token for. */
type Wanted = { readonly needed?: readonly Access[]; readonly error?: 'insufficient_scope' | 'invalid_token' }

/** 401 and where a token is to be had (the Docker token protocol, RFC 6750 §3). */
export function unauthorized({ challenge }: Pick<Registry, 'challenge'>, { needed = [], error }: Wanted = {}, message?: string): Refusal {
  return refusal('UNAUTHORIZED', message, { headers: { 'WWW-Authenticate': challenge(needed, error) } })
}

/** What a token for an action on a repository is asked for: who pushes looks at what is there, too. */
export function neededFor(name: RepositoryName, action: 'pull' | 'push' | 'delete'): Access[] {
  return [{ type: 'repository', name, actions: action === 'push' ? ['pull', 'push'] : [action] }]
}

export const CATALOG: readonly Access[] = [{ type: 'registry', name: 'catalog', actions: ['*'] }]

/** What a request is told whose credentials let nobody in. */
export function notLetIn(registry: Pick<Registry, 'challenge'>, why: AuthRefusal): Refusal {
  switch (why.reason) {
    case 'credentials':
      return unauthorized(registry, {}, 'the name or the password is wrong')
    case 'token':
      return unauthorized(registry, { error: 'invalid_token' }, 'the token is not good, or not good any more')
    case 'wait':
      return refusal('TOOMANYREQUESTS', 'too many logins failed or are under way: try again later', { headers: { 'Retry-After': String(why.seconds) } })
    case 'directory':
      return refusal('UNAVAILABLE', 'the directory that knows this user cannot be asked at the moment')
  }
}
