import type { Outbound, OutboundFailure, OutboundRequest } from './client.ts'

/** What a `fetch` throws instead of answering a failure. */
export class OutboundError extends Error {
  override readonly name = 'OutboundError'
  readonly failure: OutboundFailure

  constructor(failure: OutboundFailure) {
    super(failure.message)
    this.failure = failure
  }
}

export type FetchInit = {
  readonly method?: string
  readonly headers?: ConstructorParameters<typeof Headers>[0]
  readonly body?: unknown
  readonly signal?: AbortSignal | null | undefined
}

export type Fetch = (url: string, init?: FetchInit) => Promise<Response>

/** The client as libraries want it. No redirect is followed: what they are given is the address itself. */
export function fetchThrough(outbound: Outbound, bounds: Pick<OutboundRequest, 'maxBytes' | 'timeoutMs' | 'verifyCertificate'>): Fetch {
  return async (url, { method = 'GET', headers, body, signal } = {}) => {
    const answer = await outbound.send({
      ...bounds,
      url,
      method,
      headers: Object.fromEntries(new Headers(headers)),
      ...(body === undefined || body === null ? {} : { body: bytesOf(body) }),
      ...(signal === undefined || signal === null ? {} : { signal }),
    })
    if (answer.kind === 'failure') throw new OutboundError(answer)
    const response = new Response(answer.body.length === 0 ? null : answer.body, { status: answer.status })
    for (const [name, value] of answer.headers) response.headers.append(name, value)
    return response
  }
}

/** Of what the libraries in use send: forms and text. */
function bytesOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (body instanceof URLSearchParams) return body.toString()
  throw new TypeError('A body is sent that is neither a form nor text')
}

/** The failure that an error of a library comes from, if it does. */
export function failureBehind(error: unknown): OutboundFailure | undefined {
  if (error instanceof OutboundError) return error.failure
  return typeof error === 'object' && error !== null && 'cause' in error ? failureBehind(error.cause) : undefined
}
