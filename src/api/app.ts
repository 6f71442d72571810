import express from 'express'
import type { ErrorRequestHandler, Express, RequestHandler } from 'express'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Handler } from './server.ts'
import type { ServerLog } from './server-log.ts'
import { healthRoutes } from './health/health.ts'
import type { Readiness } from './health/health.ts'
import type { Metrics } from './metrics.ts'
import { send } from './reply.ts'
import { refused } from './oci/exchange.ts'
import { refusal } from '../oci/errors.ts'

type AppOptions = {
  readonly token: RequestHandler
  readonly management: RequestHandler
  /** What only Varve has. */
  readonly varve: RequestHandler
  /** For people's browsers, at the root. */
  readonly pages: RequestHandler
  readonly readiness: Readiness
  readonly metrics: Metrics
  readonly metricsToken: string | undefined
  readonly logger: Pick<ServerLog, 'error'>
}

/** Everything that is not /v2. */
export function createExpress({ token, management, varve, pages, readiness, metrics, metricsToken, logger }: AppOptions): Express {
  const app = express()
  // Else a proxy's rule for /api or /metrics is passed by in another case.
  app.enable('case sensitive routing')
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(healthRoutes(readiness, metrics, metricsToken))
  app.use('/service', token)
  app.use('/api/v2.0', management)
  app.use('/api/varve/v1', varve)
  app.use(pages)
  app.use((request, response) => send(request, response, refused(refusal('NAME_UNKNOWN', 'there is nothing at this path'))))
  const onError: ErrorRequestHandler = async (error: unknown, request, response, _next) => {
    logger.error({ err: error }, 'a request failed')
    if (response.headersSent) response.destroy()
    else await send(request, response, refused(refusal('UNAVAILABLE')))
  }
  app.use(onError)
  return app
}

/** Everything that the server answers: /v2 by a plain function, since it is the hot path, and the rest by Express. */
export function createApp(options: AppOptions & { readonly oci: (request: IncomingMessage, response: ServerResponse) => Promise<void> }): Handler {
  const { oci, metrics } = options
  const app = createExpress(options)
  return (request, response) => {
    const target = targetOf(request.url ?? '/')
    request.url = target
    metrics.trackRequest(request, response)
    if (target === '/v2' || target.startsWith('/v2/') || target.startsWith('/v2?')) void oci(request, response)
    else app(request, response)
  }
}

/** A target may be a whole URL (RFC 9112 §3.2.2): what it says before the path changes nothing here. */
function targetOf(url: string): string {
  const rest = /^https?:\/\/[^/?]*(.*)$/i.exec(url)?.[1]
  if (rest === undefined) return url
  return rest.startsWith('/') ? rest : `/${rest}`
}
