import { userAggregate } from '../../commands/user/aggregate.ts'
import type { Session } from '../../identity/sessions/sessions.ts'
import { isFromElsewhere, mayAct } from '../../identity/sessions/sessions.ts'
import type { UserRow } from '../../projections/identity-queries.ts'
import type { AuthRefusal } from '../authenticate.ts'
import { carryOut } from '../management/carry-out.ts'
import { makeSealed } from '../management/people.ts'
import { noteRefusal } from '../refusals.ts'
import type { Reply } from '../reply.ts'
import type { Requester } from '../requester.ts'
import { goTo, page } from './page.ts'
import { beginSession, enterAs, fieldOf, fromElsewhere } from './parts.ts'
import type { Asked, PagesParts } from './parts.ts'
import { cliSecretView, endView, homeView, leadingView, loginView } from './views.ts'

const WRONG = [401, 'The name or the password is wrong'] as const
const PROBLEMS: Readonly<Record<AuthRefusal['reason'], readonly [status: number, text: string]>> = {
  credentials: WRONG,
  token: WRONG,
  wait: [429, 'Too many logins failed or are under way: try again later'],
  directory: [503, 'The directory that knows you cannot be asked at the moment'],
}

/** Somebody who is logged in, in this browser. */
type Own = { readonly requester: Requester; readonly session: Session; readonly user: UserRow }

/** What whoever is logged in sees of themselves, and how they come and go. */
export function createOwnPages(parts: PagesParts) {
  const { management, signOn, sessions, identify, introduce, logIn, addressOf } = parts
  const { identity, publicUrl } = management
  const registry = (): string => new URL(publicUrl()).host

  async function loginPage(status = 200, problem?: string, headers: Reply['headers'] = {}): Promise<Reply> {
    const [provider, { primary_auth_mode: providerFirst }] = [await signOn(), await management.settings()]
    return page(status, loginView({ provider: provider?.settings.name, providerFirst }, problem), headers)
  }

  function refusedPage(refusal: AuthRefusal): Promise<Reply> {
    const [status, text] = PROBLEMS[refusal.reason]
    return loginPage(status, text, refusal.reason === 'wait' ? { 'Retry-After': refusal.seconds } : {})
  }

  async function ownOf({ request, requestId }: Asked): Promise<Own | AuthRefusal | undefined> {
    const requester = await identify(request, requestId)
    if ('refused' in requester) return requester
    const { session, subject } = requester
    const user = session === undefined ? undefined : await identity.user(subject.id)
    return session === undefined || user === undefined ? undefined : { requester, session, user }
  }

  /** Does something for whoever is logged in, where their own page asks for it. */
  async function doing(asked: Asked, act: (own: Own) => Promise<Reply>): Promise<Reply> {
    const { request } = asked
    const own = await ownOf(asked)
    if (own === undefined) return goTo('/', [await sessions.end(request.headers.cookie)])
    if ('refused' in own) return refusedPage(own)
    return mayAct(own.session, 'POST', fieldOf(request, 'csrf')) ? act(own) : fromElsewhere(parts, asked)
  }

  async function home(asked: Asked): Promise<Reply> {
    const own = await ownOf(asked)
    if (own === undefined) return loginPage()
    return 'refused' in own ? refusedPage(own) : page(200, homeView(own.user, registry(), own.session.csrfToken))
  }

  /** As Harbor's: a form of `principal` and `password`. */
  async function enter(asked: Asked): Promise<Reply> {
    const { request, requestId } = asked
    if (isFromElsewhere(request.headers, publicUrl())) return fromElsewhere(parts, asked)
    const [name, password] = [fieldOf(request, 'principal'), fieldOf(request, 'password')]
    if (name === undefined || password === undefined) return loginPage(400, 'Give a name and a password')
    const loggedIn = await logIn(name, password, addressOf(request))
    if ('refused' in loggedIn) {
      await introduce(request, requestId, loggedIn)
      return refusedPage(loggedIn)
    }
    if (loggedIn.login.kind !== 'user') {
      const robot = await enterAs(parts, asked, loggedIn)
      if ('refused' in robot) return refusedPage(robot)
      noteRefusal(management, robot, { reason: 'role', action: 'session:create' })
      return loginPage(403, 'A robot logs in from the command line')
    }
    const cookie = await beginSession(parts, asked, loggedIn)
    return typeof cookie === 'string' ? goTo('/', [cookie]) : refusedPage(cookie)
  }

  function leave(asked: Asked): Promise<Reply> {
    return doing(asked, async ({ user }) => {
      const ended = await sessions.end(asked.request.headers.cookie)
      const { oidc_logout: alsoThere } = await management.settings()
      const provider = alsoThere && user.source === 'oidc' ? await signOn() : undefined
      const url = await provider?.party.logoutUrl(`${publicUrl()}/`)
      return url === undefined ? goTo('/', [ended]) : page(200, leadingView('You are logged out here', url), { 'Set-Cookie': ended })
    })
  }

  /** A new secret in the old one's place, shown this once. */
  function makeCliSecret(asked: Asked): Promise<Reply> {
    return doing(asked, async ({ requester, user }) => {
      if (user.source !== 'oidc') return page(412, endView('No secret is needed', 'You log in with your password from the command line too'))
      const { secret, verifier } = await makeSealed(management)
      await carryOut(management, requester, userAggregate(management.decisionRows, user.id), { type: 'ChangeCliSecret', verifier })
      return page(200, cliSecretView(user.name, secret, registry()))
    })
  }

  return { home, enter, leave, makeCliSecret } as const
}
