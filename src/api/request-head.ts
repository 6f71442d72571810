import type { IncomingHttpHeaders } from 'node:http'

/** The head of a request, whoever read it: node:http (an IncomingMessage is one), or `direct/`. */
export type RequestHead = {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}
