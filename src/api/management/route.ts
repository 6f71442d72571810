import { Type } from '@sinclair/typebox'
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { Permission } from '../../commands/access/roles.ts'
import type { Rejection } from '../../commands/rejection.ts'
import type { ProjectRow } from '../../projections/identity-queries.ts'
import type { RequestHead } from '../request-head.ts'
import type { Requester } from '../requester.ts'
import type { Management } from './management.ts'

/**
 * Who may use a route: everybody; whoever logged in; who may do something on the registry itself; or in the project that the path names
 * (`project_name_or_id`, or `project_id`), who may do something there. A user's own matters are `identified`, and the handler looks.
 */
export type Needs =
  | 'everybody'
  | 'identified'
  /** `openBy`: whoever has no login may do it too where this setting is on. */
  | { readonly system: Permission; readonly openBy?: 'self_registration' }
  | { readonly project: Permission }

/** The path of a route that needs a right in a project. */
export const ProjectPath = Type.Object({ project_name_or_id: Type.String({ minLength: 1, maxLength: 255 }) })

/** What a management route answers. A text is sent as it is, every other body as JSON. */
export type Answer = {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** A request that cannot be done, in Harbor's words for it. */
export type ApiError = {
  readonly refused: true
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 412 | 413 | 429 | 500 | 503
  readonly code: string
  readonly message: string
  /** The right that it was refused for want of, and the project's id: for the trail, and in no answer. */
  readonly lacking?: Lacking
}

type Lacking = { readonly permission: Permission; readonly project: string | undefined }

/** Whatever a request is refused with. */
export type Refused = ApiError | Rejection

/** A request once it was let through. */
export type Asked = Requester & {
  readonly request: RequestHead
  /** What was asked for, path and query, from the server's root on. */
  readonly url: string
  /** The project that the path names, where the route needs a right in one. */
  readonly project: ProjectRow | undefined
}

type Input<P extends TObject, Q extends TObject, B extends TSchema> = { readonly params: Static<P>; readonly query: Static<Q>; readonly body: Static<B> }

/** What is said of a route, for the router and for the document. */
export type RouteDefinition<P extends TObject, Q extends TObject, B extends TSchema> = {
  readonly method: 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete'
  /** Below the API's own path, with parameters as `{name}`. */
  readonly path: string
  readonly summary: string
  readonly tag: string
  readonly needs: Needs
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  /** By status; undefined: without a body. */
  readonly answers: Readonly<Record<number, TSchema | undefined>>
  readonly handle: (management: Management, asked: Asked, input: Input<P, Q, B>) => Promise<Answer | ApiError | Rejection>
}

/** A route whose input was checked by its schemas. */
export type Route = Omit<RouteDefinition<TObject, TObject, TSchema>, 'handle'> & {
  readonly handle: (management: Management, asked: Asked, input: Input<TObject, TObject, TSchema>) => Promise<Answer | ApiError | Rejection>
}

/** Ties a route's handler to the types of its schemas. */
export function route<P extends TObject, Q extends TObject, B extends TSchema>(definition: RouteDefinition<P, Q, B>): Route {
  // The router calls it only with what the schemas let through.
  return definition as unknown as Route
}

export function apiError(status: ApiError['status'], code: string, message: string): ApiError {
  return { refused: true, status, code, message }
}

/** A refusal for want of a right on the registry itself, or in a project. */
export function forWantOf(permission: Permission, error: ApiError, project?: string): ApiError {
  return { ...error, lacking: { permission, project } }
}

/** The project that the path names, for routes that need a right in one. */
export function projectOf({ project }: Pick<Asked, 'project'>): ProjectRow {
  if (project === undefined) throw new Error('the route needs no right in a project')
  return project
}

/** Where a thing that was just made is to be found. */
export function locationOf({ url }: Pick<Asked, 'url'>, number: number): { readonly Location: string } {
  return { Location: `${url.split('?', 1)[0]?.replace(/\/$/, '') ?? ''}/${number}` }
}

/** What a command answers that gives nothing back. */
export function done(outcome: readonly unknown[] | Rejection): Answer | Rejection {
  return 'refused' in outcome ? outcome : { status: 200 }
}
