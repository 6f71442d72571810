import { randomUUID } from 'node:crypto'
import type { TSchema } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'
import express from 'express'
import type { ErrorRequestHandler, Request, Response, Router } from 'express'
import { CSRF_HEADER, mayAct } from '../../identity/sessions/sessions.ts'
import { isProjectName } from '../../oci/names.ts'
import { isStorable } from '../../ports/storable.ts'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import { takeBody } from '../held-body.ts'
import { json, send } from '../reply.ts'
import type { Reply } from '../reply.ts'
import { noteRefusal } from '../refusals.ts'
import type { Identify, Requester } from '../requester.ts'
import { isUnavailable } from '../unavailable.ts'
import { errorReply, notLetIn } from './errors.ts'
import type { Management } from './management.ts'
import { refusedInProject, refusedInSystem, unauthorized } from './refusals.ts'
import { apiError } from './route.ts'
import type { Answer, ApiError, Refused, Route } from './route.ts'

const MAX_BODY = '1mb'
const unstorable = apiError(400, 'BAD_REQUEST', 'what was sent holds U+0000, or half of a pair of surrogates')
/** Of the numbers that the wire shows. */
const MAX_NUMBER = 2 ** 31 - 1

/** Serves routes below a path. What a route needs is looked at before its input is. */
export function managementRouter(routes: readonly Route[], management: Management, identify: Identify): Router {
  const router = express.Router({ caseSensitive: true })
  const ajv = new Ajv({ coerceTypes: true, allErrors: true, strict: true, useDefaults: true })
  ajv.addFormat('date-time', { type: 'string', validate: (text: string) => !Number.isNaN(Date.parse(text)) })
  const bodies = new Ajv({ allErrors: true, strict: true })
  bodies.addFormat('date-time', { type: 'string', validate: (text: string) => !Number.isNaN(Date.parse(text)) })
  const compiled = new Map(routes.map((each) => [each, { params: checkOf(ajv, each.params), query: checkOf(ajv, each.query), body: checkOf(bodies, each.body) }]))

  async function answer(route: Route, request: Request, response: Response, requestId: string): Promise<Reply> {
    const requester = await identify(request, requestId)
    if ('refused' in requester) return notLetIn(requester)
    const { session } = requester
    if (session === undefined) return answerTo(route, request, response, requester)
    const reply = mayAct(session, request.method, request.get(CSRF_HEADER)) ? await answerTo(route, request, response, requester) : withoutToken(requester)
    return { ...reply, headers: { ...reply.headers, [CSRF_HEADER]: session.csrfToken } }
  }

  function withoutToken(requester: Requester): Reply {
    noteRefusal(management, requester, { reason: 'csrf' })
    return errorReply(apiError(403, 'FORBIDDEN', `a session changes nothing without its token in ${CSRF_HEADER}`))
  }

  async function answerTo(route: Route, request: Request, response: Response, requester: Requester): Promise<Reply> {
    // A registry token was given for /v2 alone.
    if (requester.scope !== undefined) {
      noteRefusal(management, requester, { reason: 'scope' })
      return notLetIn({ refused: true, reason: 'credentials' })
    }
    const params = { ...request.params }
    const query = { ...request.query }
    if (!isStorable(JSON.stringify([params, query]))) return errorReply(unstorable)
    const admitted = await admit(management, route, requester, request)
    if ('refused' in admitted) return replyOf(noted(requester, admitted))
    // Not before: whoever may not would else have it held for each connection.
    const taken = route.body === undefined ? { body: null } : await bodyOf(request, response)
    if ('refused' in taken) return errorReply(taken)
    const { body } = taken
    if (!isStorable(JSON.stringify(body))) return errorReply(unstorable)
    const checks = compiled.get(route)
    const fault = faultOf('path', checks?.params, params) ?? faultOf('query', checks?.query, query) ?? faultOf('body', checks?.body, body)
    if (fault !== undefined) return errorReply(apiError(400, 'BAD_REQUEST', fault))
    return replyOf(noted(requester, await route.handle(management, { ...requester, request, url: request.originalUrl, project: admitted.project }, { params, query, body })))
  }

  /** What is refused for want of a right is in the trail. */
  function noted(requester: Requester, outcome: Answer | Refused): Answer | Refused {
    if ('lacking' in outcome) {
      const { permission: { resource, action }, project } = outcome.lacking
      noteRefusal(management, requester, { reason: 'role', action: `${resource}:${action}`, ...(project === undefined ? {} : { project }) })
    }
    return outcome
  }

  for (const each of routes) {
    const path = each.path.replaceAll(/\{(\w+)\}/g, ':$1')
    router[each.method](path, async (request: Request, response: Response) => {
      const requestId = randomUUID()
      let reply: Reply
      try {
        reply = await answer(each, request, response, requestId)
      } catch (error) {
        reply = failure(management, error, requestId)
      }
      await send(request, response, { ...reply, headers: { 'X-Request-Id': requestId, ...reply.headers } })
    })
  }
  router.use(async (request: Request, response: Response) => {
    await send(request, response, errorReply(apiError(404, 'NOT_FOUND', 'there is nothing at this path')))
  })
  const onError: ErrorRequestHandler = async (_error, request, response, _next) => {
    await send(request, response, errorReply(apiError(400, 'BAD_REQUEST', 'the path is malformed')))
  }
  router.use(onError)
  return router
}

const parseJson = express.json({ limit: MAX_BODY, strict: false, type: () => true })

/** What was sent, as JSON; null: nothing. */
async function bodyOf(request: Request, response: Response): Promise<{ readonly body: unknown } | ApiError> {
  try {
    await takeBody(parseJson, request, response)
    return { body: request.body ?? null }
  } catch (error) {
    const tooLarge = error instanceof Error && 'type' in error && error.type === 'entity.too.large'
    return tooLarge ? apiError(413, 'TOO_LARGE', `a body is at most ${MAX_BODY}`) : apiError(400, 'BAD_REQUEST', 'the body is no JSON')
  }
}

function failure({ logger }: Management, error: unknown, requestId: string): Reply {
  if (isUnavailable(error)) {
    logger.warn({ requestId, err: error }, 'a request found the log or Postgres away')
    return errorReply(apiError(503, 'UNAVAILABLE', 'the registry cannot answer for the moment'), { 'Retry-After': 5 })
  }
  logger.error({ requestId, err: error }, 'a request failed')
  return errorReply(apiError(500, 'INTERNAL', `the request failed; the server's log says why under ${requestId}`))
}

function checkOf(ajv: Ajv, schema: TSchema | undefined): ValidateFunction | undefined {
  return schema && ajv.compile(schema)
}

function faultOf(where: string, check: ValidateFunction | undefined, value: unknown): string | undefined {
  if (check === undefined || check(value)) return undefined
  const [first] = check.errors ?? []
  return `${where}${first?.instancePath.replaceAll('/', '.') ?? ''} ${first?.message ?? 'is not understood'}`
}

function replyOf(answered: Answer | Refused): Reply {
  if ('refused' in answered) return errorReply(answered)
  const { status, body, headers = {} } = answered
  if (body === undefined) return { status, headers }
  return typeof body === 'string' ? { status, headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body } : json(status, body, headers)
}

/** What a route needs. A project that the caller may not read is answered as one that is not there. */
async function admit(
  management: Management,
  { needs }: Route,
  requester: Requester,
  request: Request,
): Promise<{ readonly project: ProjectRow | undefined } | ApiError> {
  const { identity } = management
  const { subject } = requester
  if (needs === 'everybody') return { project: undefined }
  if (needs === 'identified') return subject.kind === 'anonymous' ? unauthorized : { project: undefined }
  if ('system' in needs) {
    const isOpen = subject.kind === 'anonymous' && needs.openBy !== undefined && (await management.settings())[needs.openBy]
    return (isOpen ? undefined : refusedInSystem(subject, needs.system)) ?? { project: undefined }
  }
  const { project_name_or_id: nameOrId, project_id: id, project_name: name } = request.params
  const named = String(nameOrId ?? id ?? name)
  const project = await projectOf(identity, named, nameOrId === undefined ? name !== undefined : request.get('X-Is-Resource-Name')?.toLowerCase() === 'true')
  if (project === undefined && subject.kind !== 'anonymous' && !isProjectName(named)) noteRefusal(management, requester, { reason: 'name' })
  return refusedInProject(subject, project, needs.project) ?? { project }
}

/** Harbor takes a number for a project's id, unless the request says that names are meant; anything else is a name. */
async function projectOf(identity: Management['identity'], text: string, isName: boolean): Promise<ProjectRow | undefined> {
  if (isName || !/^[0-9]+$/.test(text)) return identity.project(text)
  return Number(text) > MAX_NUMBER ? undefined : identity.projectByNumber(Number(text))
}
