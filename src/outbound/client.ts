import { lookup } from 'node:dns/promises'
import { request as requestHttp } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import type { BlockList } from 'node:net'
import { getCACertificates } from 'node:tls'
import { orAborted } from '../ports/or-aborted.ts'
import { mayCall } from './addresses.ts'
import { isCertificateError } from './certificate-error.ts'

export type OutboundSettings = {
  /** What may be called beside public addresses. */
  readonly allowedNetworks: BlockList
  /** Authorities (PEM) trusted beside the system's. */
  readonly authorities?: string
  /** The addresses of a name; by default those that the system knows. */
  readonly resolve?: (name: string) => Promise<readonly string[]>
}

export type OutboundRequest = {
  readonly method: string
  /** http:// or https://, without a user name or password. */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** Headers that only the origin of `url` gets to see, whatever it redirects to. */
  readonly credentials?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** The largest body taken as an answer. */
  readonly maxBytes: number
  /** For all of it: names, connections, redirects, the last byte. */
  readonly timeoutMs: number
  /** How many redirects a GET or HEAD follows; none by default, and then, as with other methods, the redirect is the answer. */
  readonly redirects?: number
  /** False: whoever answers is believed to be who was called. */
  readonly verifyCertificate?: boolean
  readonly signal?: AbortSignal
}

export type OutboundAnswer = {
  readonly kind: 'answer'
  readonly status: number
  /** As received, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer<ArrayBuffer>
  /** Who answered, after redirects. */
  readonly url: string
}

export type FailureReason = 'url' | 'name' | 'forbidden' | 'unreachable' | 'certificate' | 'timeout' | 'aborted' | 'too-large' | 'redirect'

/** `message` is for people: it names hosts and ports, never paths, queries or headers, which may hold a secret. */
export type OutboundFailure = { readonly kind: 'failure'; readonly reason: FailureReason; readonly message: string }

export type Outbound = { send(request: OutboundRequest): Promise<OutboundAnswer | OutboundFailure> }

/**
 * The one client for whatever Varve calls. A name is resolved once, and the addresses that were checked are those that are dialled, so an
 * answer that changes in between changes nothing. Each redirect is checked like a first call. Bodies are not decompressed, so none grows.
 */
export function createOutbound(settings: OutboundSettings): Outbound {
  const { allowedNetworks, resolve = addressesOf, authorities } = settings
  const ca = authorities === undefined ? undefined : [...getCACertificates('default'), authorities]

  async function send(request: OutboundRequest): Promise<OutboundAnswer | OutboundFailure> {
    const deadline = AbortSignal.timeout(request.timeoutMs)
    const signal = request.signal === undefined ? deadline : AbortSignal.any([deadline, request.signal])
    const first = parseTarget(request.url)
    if (first === undefined) return failure('url', 'The address to call is no http:// or https:// URL, or holds a user name or password')
    const follows = request.method === 'GET' || request.method === 'HEAD' ? (request.redirects ?? 0) : 0

    let url = first
    let knowsCredentials = true
    for (let redirects = 0; ; redirects++) {
      const headers = { ...request.headers, ...(knowsCredentials ? request.credentials : {}) }
      const outcome = await exchange(request, url, headers, signal).catch((error: unknown) =>
        failureOf(error, url, deadline, request.signal),
      )
      if (outcome.kind === 'failure' || follows === 0) return outcome
      const location = redirectOf(outcome)
      if (location === undefined) return outcome
      if (redirects === follows) return failure('redirect', `${first.host} redirects more than ${follows} times`)
      const next = parseTarget(location, url)
      if (next === undefined) return failure('redirect', `${url.host} redirects to what is no http:// or https:// URL`)
      if (url.protocol === 'https:' && next.protocol === 'http:') return failure('redirect', `${url.host} redirects from https to http`)
      // Once elsewhere, never again: a host that was called in between could send them on to a path of its choice.
      knowsCredentials &&= next.origin === url.origin
      url = next
    }
  }

  async function exchange(
    request: OutboundRequest,
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<OutboundAnswer | OutboundFailure> {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    // A name service cannot be told to stop, so its answer is no longer waited for.
    const found = isIP(host) === 0 ? await orAborted(resolve(host), signal) : [host]
    const addresses = found.filter((address) => mayCall(address, allowedNetworks))
    if (found.length === 0) return failure('name', `${url.hostname} has no address`)
    if (addresses.length === 0) {
      return failure(
        'forbidden',
        `${url.hostname} stands for an address that is not public (${found.join(', ')}) and in no network that may be called`,
      )
    }

    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options: RequestOptions = {
        method: request.method,
        headers,
        signal,
        agent: false,
        // Asked only for a name; an address was checked above.
        lookup: (_name, _options, answer) => {
          answer(
            null,
            addresses.map((address) => ({ address, family: isIP(address) })),
          )
        },
      }
      const tls = { ...(ca === undefined ? {} : { ca }), rejectUnauthorized: request.verifyCertificate ?? true }
      const sent = url.protocol === 'https:' ? requestHttps(url, { ...options, ...tls }) : requestHttp(url, options)
      sent.on('error', reject)
      sent.once('response', resolve)
      sent.end(request.body)
    })
    const body = await bodyOf(response, request.maxBytes)
    if (body === undefined) return failure('too-large', `${url.host} answered with more than ${request.maxBytes} bytes`)
    return { kind: 'answer', status: response.statusCode ?? 0, headers: pairs(response.rawHeaders), body, url: url.href }
  }

  return { send }
}

async function addressesOf(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address)
}

function parseTarget(text: string, base?: URL): URL | undefined {
  const url = URL.parse(text, base)
  const usable = url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.username === '' && url.password === ''
  return usable ? url : undefined
}

function redirectOf({ status, headers }: OutboundAnswer): string | undefined {
  if (![301, 302, 303, 307, 308].includes(status)) return undefined
  return headers.find(([name]) => name.toLowerCase() === 'location')?.[1]
}

/** Undefined: it is larger. What was not read is thrown away with the connection. */
async function bodyOf(response: IncomingMessage, maxBytes: number): Promise<Buffer<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, raw[index + 1] ?? '']] : []))
}

function failure(reason: FailureReason, message: string): OutboundFailure {
  return { kind: 'failure', reason, message }
}

const OF_NAMES = /^(ENOTFOUND|EAI_[A-Z]+|ENODATA)$/

function failureOf(error: unknown, url: URL, deadline: AbortSignal, callers: AbortSignal | undefined): OutboundFailure {
  if (callers?.aborted === true) return failure('aborted', `The call to ${url.host} was given up`)
  if (deadline.aborted) return failure('timeout', `${url.host} did not answer in time`)
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  if (OF_NAMES.test(code)) return failure('name', `The address of ${url.hostname} cannot be found (${code})`)
  if (isCertificateError(code)) return failure('certificate', `The certificate of ${url.host} is not trusted (${code})`)
  return failure('unreachable', `${url.host} cannot be reached${code === '' ? '' : ` (${code})`}`)
}
