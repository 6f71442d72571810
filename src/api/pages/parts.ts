import type { Request } from 'express'
import type { Sessions } from '../../identity/sessions/sessions.ts'
import type { RefusalReason } from '../../commands/activity/events.ts'
import type { LogIn, LoggedIn } from '../login.ts'
import type { Management } from '../management/management.ts'
import type { SignOn } from '../oidc.ts'
import type { createOutsideUsers } from '../outside-user.ts'
import type { RequestHead } from '../request-head.ts'
import type { Identify, Introduce, Requester } from '../requester.ts'
import type { SubjectOf } from '../subjects.ts'
import { noteRefusal } from '../refusals.ts'
import type { Reply } from '../reply.ts'
import { identified } from '../authenticate.ts'
import type { AuthRefusal } from '../authenticate.ts'
import { page } from './page.ts'
import { endView } from './views.ts'

type PageLogin = Omit<LoggedIn, 'fresh'>

const MINUTE_MS = 60_000

/** What the pages work with. */
export type PagesParts = {
  readonly management: Management
  readonly signOn: SignOn
  readonly users: ReturnType<typeof createOutsideUsers>
  readonly sessions: Sessions
  /** Whether the public URL is https. */
  readonly secure: boolean
  /** By the session of a browser. */
  readonly identify: Identify
  readonly introduce: Introduce
  readonly logIn: LogIn
  readonly subjectOf: SubjectOf
  readonly addressOf: (request: RequestHead) => string
}

/** A field of a form that was sent once. */
export function fieldOf(request: Request, name: string): string | undefined {
  // The parser of forms leaves nothing but texts and lists of them.
  const value = (request.body as Readonly<Record<string, unknown>> | undefined)?.[name]
  return typeof value === 'string' ? value : undefined
}

/** A request to a page, under the id that the log and the answer have for it. */
export type Asked = { readonly request: Request; readonly requestId: string }

/** Somebody who logged in to a page just now: on record, whether they are remembered from another door or not. */
export async function enterAs({ introduce, subjectOf }: PagesParts, { request, requestId }: Asked, loggedIn: PageLogin): Promise<Requester | AuthRefusal> {
  return introduce(request, requestId, await identified({ ...loggedIn, fresh: true }, subjectOf))
}

/** The `Set-Cookie` of a new session of somebody who logged in just now, which is on record before. It is as long as the setting says. */
export async function beginSession(parts: PagesParts, asked: Asked, loggedIn: PageLogin): Promise<string | AuthRefusal> {
  const requester = await enterAs(parts, asked, loggedIn)
  if ('refused' in requester) return requester
  const { session_timeout: minutes } = await parts.management.settings()
  return parts.sessions.begin({ user: loggedIn.login.id, credential: loggedIn.login.credential }, asked.request.headers.cookie, minutes * MINUTE_MS)
}

/** Notes that a page was not given, or did not do what it was asked for. */
export async function note({ management, identify }: PagesParts, { request, requestId }: Asked, reason: RefusalReason): Promise<void> {
  const requester = await identify(request, requestId)
  if (!('refused' in requester)) noteRefusal(management, requester, { reason })
}

/** What was asked for by another site's page, or may have been. */
export async function fromElsewhere(parts: PagesParts, asked: Asked): Promise<Reply> {
  await note(parts, asked, 'csrf')
  return page(403, endView('Not from here', 'Another page sent you to do this. Begin again at the registry itself'))
}
