import { randomUUID } from 'node:crypto'
import express from 'express'
import type { ErrorRequestHandler, Request, Response, Router } from 'express'
import { LONGEST_LIFETIME_S } from '../../identity/tokens/lifetimes.ts'
import { parseScopes } from '../../identity/tokens/scope.ts'
import { tokenResponse } from '../../identity/tokens/token-response.ts'
import type { Tokens } from '../../identity/tokens/tokens.ts'
import { refusal } from '../../oci/errors.ts'
import type { Refusal } from '../../oci/errors.ts'
import { identified, loginOf } from '../authenticate.ts'
import type { AuthRefusal, Identified } from '../authenticate.ts'
import { MAX_FORM, formTaker } from '../held-body.ts'
import type { LogIn } from '../login.ts'
import { notLetIn, unauthorized } from '../oci/challenge.ts'
import { refused } from '../oci/exchange.ts'
import type { Registry } from '../registry.ts'
import { json, send } from '../reply.ts'
import type { Reply } from '../reply.ts'
import type { RequestHead } from '../request-head.ts'
import type { Identify, Introduce, Requester } from '../requester.ts'
import type { SubjectOf } from '../subjects.ts'
import { isUnavailable } from '../unavailable.ts'
import { grant } from './grant.ts'

/** The audience of tokens, and the service of challenges. */
export const SERVICE = 'varve'

/** What a request for a token says, however it is sent. */
type Asked = { readonly scopes: readonly string[]; readonly offline: boolean }

/**
 * `/service/token`: GET with Basic (Docker token specification), or POST as OAuth 2 has it (its "oauth2" page: `password`,
 * `refresh_token`). A caller who does not log in gets a token for what everybody may pull. And `/service/jwks`, the keys.
 */
export function tokenRoutes(options: {
  readonly registry: Registry
  readonly tokens: Tokens
  readonly jwks: () => object
  readonly identify: Identify
  readonly introduce: Introduce
  readonly logIn: LogIn
  readonly subjectOf: SubjectOf
  readonly addressOf: (request: RequestHead) => string
}): Router {
  const { registry, tokens, jwks, identify, introduce, logIn, subjectOf, addressOf } = options

  /** What was issued is on record before it leaves. */
  async function issue({ subject, login, caller, requestId }: Requester, { scopes, offline }: Asked): Promise<Reply> {
    const { token_expiration: minutes } = await registry.settings()
    const whom = { sub: `${login.kind}:${login.id}`, cred: login.credential }
    const access = await grant(registry, subject, parseScopes(scopes))
    // What came by the token of a workload ends with it: whoever wants more has a new one.
    const { endsAt } = login
    const seconds = endsAt === undefined ? minutes * 60 : Math.max(1, Math.min(minutes * 60, Math.floor((endsAt.getTime() - registry.now().getTime()) / 1_000)))
    const issued = tokens.issueAccess(whom, access, seconds)
    const refresh = offline && subject.kind !== 'anonymous' && endsAt === undefined ? tokens.issueRefresh(whom, LONGEST_LIFETIME_S) : undefined
    await registry.access.record({ what: 'token', caller, requestId, access, seconds, refresh: refresh !== undefined })
    return json(200, tokenResponse(issued, refresh), { 'Cache-Control': 'no-store' })
  }

  async function onGet(request: Request, requestId: string): Promise<Reply | Refusal> {
    if (/^bearer /i.test(request.headers.authorization ?? '')) return unauthorized(registry, {}, 'a token is not to be had with a token')
    const requester = await identify(request, requestId)
    if ('refused' in requester) return notLetIn(registry, requester)
    return issue(requester, { scopes: textsOf(request.query['scope']), offline: request.query['offline_token'] === 'true' })
  }

  async function onPost(request: Request, requestId: string): Promise<Reply | Refusal> {
    // The parser of forms leaves nothing but texts and lists of them.
    const form = request.body as Readonly<Record<string, unknown>> | undefined
    const found = await loggedInBy(form ?? {}, addressOf(request))
    if ('code' in found) return found
    const requester = await introduce(request, requestId, found)
    if ('refused' in requester) return notLetIn(registry, requester)
    return issue(requester, { scopes: textsOf(form?.['scope']), offline: form?.['access_type'] === 'offline' })
  }

  async function loggedInBy(form: Readonly<Record<string, unknown>>, address: string): Promise<Identified | AuthRefusal | Refusal> {
    const [name, password, refresh] = [form['username'], form['password'], form['refresh_token']]
    if (form['grant_type'] === 'password' && typeof name === 'string' && typeof password === 'string') {
      const loggedIn = await logIn(name, password, address)
      return 'refused' in loggedIn ? loggedIn : identified(loggedIn, subjectOf)
    }
    if (form['grant_type'] === 'refresh_token' && typeof refresh === 'string') {
      const verified = tokens.verifyRefresh(refresh)
      if ('refused' in verified) return { refused: true, reason: 'token', why: verified.refused }
      const login = loginOf(verified.claims)
      return identified({ login, by: 'refresh-token', fresh: true }, subjectOf, { refused: true, reason: 'token', why: 'ended', login })
    }
    return refusal('UNSUPPORTED', 'grant_type is password, with username and password, or refresh_token, with refresh_token', { status: 400 })
  }

  const answering = (handle: (request: Request, requestId: string) => Promise<Reply | Refusal>) => async (request: Request, response: Response) => {
    const requestId = randomUUID()
    let answered: Reply | Refusal
    try {
      answered = await handle(request, requestId)
    } catch (error) {
      registry.logger.error({ requestId, err: error }, 'a token could not be issued')
      answered = refusal('UNAVAILABLE', isUnavailable(error) ? undefined : `the request failed; the server's log says why under ${requestId}`)
    }
    await send(request, response, 'refused' in answered ? refused(answered) : answered, requestId)
  }

  /** What the parser of forms does not take, which is the client's doing. */
  const onError: ErrorRequestHandler = async (error: unknown, request, response, _next) => {
    const tooLarge = error instanceof Error && 'type' in error && error.type === 'entity.too.large'
    const why = tooLarge ? refusal('SIZE_INVALID', `a form is at most ${MAX_FORM}`, { status: 413 }) : refusal('UNSUPPORTED', 'the form is not understood', { status: 400 })
    await send(request, response, refused(why), randomUUID())
  }

  const router = express.Router({ caseSensitive: true })
  router.get('/token', answering(onGet))
  router.post('/token', formTaker(), answering(onPost))
  router.get('/jwks', (_request, response) => {
    response.json(jwks())
  })
  router.use(onError)
  return router
}

function textsOf(value: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.filter((each) => typeof each === 'string')
}
