import { timingSafeEqual } from 'node:crypto'
import { Router } from 'express'
import type { Metrics } from '../metrics.ts'
import { notAllowed, refused } from '../oci/exchange.ts'
import { send } from '../reply.ts'

/** What keeps this process from serving, in words, or nothing. A shared part that is away is not among it. */
export type Readiness = () => readonly string[]

/** `/healthz` (the process runs), `/readyz` (it can serve) and `/metrics` (behind a token, where one is set). */
export function healthRoutes(readiness: Readiness, metrics: Metrics, metricsToken: string | undefined): Router {
  const router = Router({ caseSensitive: true, strict: true })
  router.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' })
  })
  router.get('/readyz', (_request, response) => {
    const problems = readiness()
    response.status(problems.length === 0 ? 200 : 503).json({ status: problems.length === 0 ? 'ready' : 'not ready', problems })
  })
  router.get('/metrics', async (request, response) => {
    if (metricsToken !== undefined && !sameText(request.headers.authorization ?? '', `Bearer ${metricsToken}`)) {
      response.status(401).set('WWW-Authenticate', 'Bearer realm="varve"').json({ errors: [{ code: 'UNAUTHORIZED', message: 'a metrics token is required' }] })
      return
    }
    const { contentType, body } = await metrics.render()
    response.set('Content-Type', contentType).send(body)
  })
  router.all(['/healthz', '/readyz', '/metrics'], (request, response) => send(request, response, refused(notAllowed())))
  return router
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
