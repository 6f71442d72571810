import express from 'express'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Handler } from './server.ts'
import { healthRoutes } from './health/health.ts'
import type { Readiness } from './health/health.ts'
import type { Metrics } from './metrics.ts'
import { refused, send } from './oci/exchange.ts'
import { refusal } from '../oci/errors.ts'

/** Everything that the server answers: /v2 by a plain function, since it is the hot path, and the rest by Express. */
export function createApp(options: {
  readonly oci: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  readonly readiness: Readiness
  readonly metrics: Metrics
  readonly metricsToken: string | undefined
}): Handler {
  const { oci, readiness, metrics, metricsToken } = options
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(healthRoutes(readiness, metrics, metricsToken))
  app.use((request, response) => {
    void send(request, response, refused(refusal('NAME_UNKNOWN', 'there is nothing at this path')))
  })
  return (request, response) => {
    metrics.trackRequest(request, response)
    if (request.url === '/v2' || request.url?.startsWith('/v2/') === true || request.url?.startsWith('/v2?') === true) void oci(request, response)
    else app(request, response)
  }
}
