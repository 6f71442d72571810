import { ociErrors, refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import type { RepositoryName } from '../../oci/names.ts'
import { json } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { RequestHead } from '../request-head.ts'
import type { Requester } from '../requester.ts'
import type { Body } from './router.ts'

/** A request to /v2 once it is known who asks. */
export type Exchange = Requester & {
  readonly request: RequestHead
  /** The request's body. A client that waits to be asked for it (`Expect: 100-continue`) is asked when it is taken, and once. */
  readonly body: Body['read']
  readonly query: URLSearchParams
}

/** A request that names a repository. */
export type RepositoryExchange = Exchange & { readonly name: RepositoryName }

/** The path knows other methods (RFC 9110 §15.5.6). */
export function notAllowed(methods: readonly string[] = ['GET', 'HEAD']): Refusal {
  return refusal('UNSUPPORTED', 'the method is not supported here', { status: 405, headers: { Allow: methods.join(', ') } })
}

/** The specification's error document. */
export function refused({ code, message, detail, status, headers }: Refusal): Reply {
  const answer = { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }
  const retry = code === 'UNAVAILABLE' || code === 'TOOMANYREQUESTS' ? { 'Retry-After': '5' } : {}
  return json(status ?? ociErrors[code].status, answer, { ...retry, ...headers })
}
