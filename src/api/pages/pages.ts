import { randomUUID } from 'node:crypto'
import express from 'express'
import type { ErrorRequestHandler, Request, Response, Router } from 'express'
import { formTaker } from '../held-body.ts'
import { send } from '../reply.ts'
import type { Reply } from '../reply.ts'
import { isUnavailable } from '../unavailable.ts'
import { createOwnPages } from './own.ts'
import { page } from './page.ts'
import type { Asked, PagesParts } from './parts.ts'
import { createSignOnPages } from './sign-on.ts'
import { endView } from './views.ts'

/** The plain pages for people, until there is a web page: no script, nothing that another site can ask for in their name. */
export function pageRoutes(parts: PagesParts): Router {
  const { logger } = parts.management
  const own = createOwnPages(parts)
  const signOn = createSignOnPages(parts)

  const answering = (handle: (asked: Asked) => Promise<Reply>) => async (request: Request, response: Response) => {
    const requestId = randomUUID()
    let reply: Reply
    try {
      reply = await handle({ request, requestId })
    } catch (error) {
      logger.error({ requestId, err: error }, 'a page could not be made')
      reply = isUnavailable(error)
        ? page(503, endView('Not now', 'The registry cannot answer for the moment'), { 'Retry-After': 5 })
        : page(500, endView('This failed', `The server's log says why under ${requestId}`))
    }
    await send(request, response, { ...reply, headers: { 'X-Request-Id': requestId, ...reply.headers } })
  }

  const router = express.Router({ caseSensitive: true })
  const form = formTaker()
  router.get('/', answering(own.home))
  router.post('/c/login', form, answering(own.enter))
  router.post('/c/log_out', form, answering(own.leave))
  router.post('/c/cli_secret', form, answering(own.makeCliSecret))
  router.get('/c/oidc/login', answering(signOn.begin))
  router.get('/c/oidc/callback', answering(signOn.finish))
  router.get('/c/oidc/onboard', answering(signOn.askForName))
  router.post('/c/oidc/onboard', form, answering(signOn.takeName))
  const onError: ErrorRequestHandler = async (_error, request, response, _next) => {
    await send(request, response, page(400, endView('Not understood', 'What was sent is no form, or too long')))
  }
  router.use(onError)
  return router
}
