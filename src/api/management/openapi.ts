import { Type } from '@sinclair/typebox'
import type { TObject, TSchema } from '@sinclair/typebox'
import { SESSION, fullName } from '../../identity/sessions/cookies.ts'
import { CSRF_HEADER } from '../../identity/sessions/sessions.ts'
import { route } from './route.ts'
import type { Needs, Route } from './route.ts'

const ERRORS = { $ref: '#/components/schemas/Errors' }

/** What every refusal looks like. */
const Errors = Type.Object({ errors: Type.Array(Type.Object({ code: Type.String(), message: Type.String() })) })

/** What a document says of all its routes. */
export type Api = {
  readonly title: string
  readonly description: string
  /** Below which they are served. */
  readonly path: string
}

const SESSION_WORDS =
  `The session of a browser that is logged in; the cookie is called ${SESSION} where the public URL of the registry is plain http. ` +
  `What is no reading needs ${CSRF_HEADER} besides, with the token that every answer to the session has there.`

const SECURITY_SCHEMES = {
  basic: { type: 'http', scheme: 'basic', description: 'The name and the password or secret of a user or a robot.' },
  session: { type: 'apiKey', in: 'cookie', name: fullName({ name: SESSION, secure: true }), description: SESSION_WORDS },
}

const LOGINS = Object.keys(SECURITY_SCHEMES).map((scheme) => ({ [scheme]: [] }))

/** The OpenAPI 3.1 document of routes, from the schemas that their input is checked by. */
export function openApiDocument(routes: readonly Route[], { title, description, path }: Api, release: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const each of routes) paths[each.path] = { ...paths[each.path], [each.method]: operationOf(each) }
  return {
    openapi: '3.1.0',
    info: { title, version: release, description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: path }],
    tags: [...new Set(routes.map(({ tag }) => tag))].sort().map((name) => ({ name })),
    paths,
    components: { schemas: { Errors }, securitySchemes: SECURITY_SCHEMES },
  }
}

/** Serves the document of what `routes` answers. */
export function documentRoute(routes: () => readonly Route[], api: Api): Route {
  return route({
    method: 'get',
    path: '/openapi.json',
    summary: 'This document.',
    tag: 'openapi',
    needs: 'everybody',
    answers: { 200: Type.Object({}, { description: 'An OpenAPI 3.1 document.' }) },
    handle: ({ release }) => Promise.resolve({ status: 200, body: openApiDocument(routes(), api, release) }),
  })
}

function operationOf({ method, path, summary, tag, needs, params, query, body, answers }: Route): object {
  const answered = Object.entries(answers).map(([status, schema]): [string, object] => {
    if (schema === undefined) return [status, { description: 'Done.' }]
    const type = schema['type'] === 'string' ? 'text/plain' : 'application/json'
    return [status, { description: 'The answer.', content: { [type]: { schema } } }]
  })
  return {
    operationId: [method, ...path.split(/\W+/).filter((word) => word !== '')].join('_'),
    summary,
    description: wordsOf(needs),
    tags: [tag],
    security: needs === 'everybody' || (typeof needs === 'object' && 'openBy' in needs) ? [{}, ...LOGINS] : LOGINS,
    parameters: [...parametersIn('path', params), ...parametersIn('query', query)],
    ...(body === undefined ? {} : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: { ...Object.fromEntries(answered), default: { description: 'It was refused, or failed.', content: { 'application/json': { schema: ERRORS } } } },
  }
}

function parametersIn(place: 'path' | 'query', schemas: TObject | undefined): object[] {
  const required = new Set(schemas?.required ?? [])
  return Object.entries<TSchema>(schemas?.properties ?? {}).map(([name, schema]) => ({
    name,
    in: place,
    // A default makes a parameter one that may be left out.
    required: place === 'path' || (required.has(name) && !('default' in schema)),
    schema,
  }))
}

/** Who may use a route, in words. */
export function wordsOf(needs: Needs): string {
  if (needs === 'everybody') return 'For everybody, also without a login.'
  if (needs === 'identified') return 'For everybody who is logged in.'
  if ('system' in needs) {
    const open = needs.openBy === undefined ? '' : ` Where ${needs.openBy} is on, also without a login.`
    return `For those who may ${needs.system.action} ${needs.system.resource} on the registry.${open}`
  }
  return `For those who may ${needs.project.action} ${needs.project.resource} in the project.`
}
