import type { Person } from '../../identity/oidc/person.ts'
import type { OidcRefusal } from '../../identity/oidc/refusals.ts'
import { refusal } from '../../identity/refusal.ts'
import { LOGIN, clearCookie, readBegunLogin, readCookie, setCookie, writeBegunLogin } from '../../identity/sessions/cookies.ts'
import { safeReturnTo } from '../../identity/sessions/return-to.ts'
import { isFromElsewhere } from '../../identity/sessions/sessions.ts'
import type { UserRow } from '../../projections/identity-queries.ts'
import type { OutsideUser } from '../outside-user.ts'
import type { Reply } from '../reply.ts'
import { isUserName } from '../user-names.ts'
import { createOnboarding } from './onboarding.ts'
import { goTo, page } from './page.ts'
import { beginSession, fieldOf, fromElsewhere, note } from './parts.ts'
import type { Asked, PagesParts } from './parts.ts'
import { endView, leadingView, onboardingView } from './views.ts'

const LOGIN_LIFETIME_S = 600
const MAX_EXTERNAL = 2_000

const NO_PROVIDER = page(404, endView('No single sign-on', 'People do not log in by single sign-on here, or an administrator has not set it up yet'))
/** The login at an OpenID Connect provider: to it, back from it, and, for somebody new, the choice of a name. */
export function createSignOnPages(parts: PagesParts) {
  const { management, signOn, users, secure } = parts
  const { identity, queries, settings, publicUrl, sealer, now } = management
  const loginCookie = { name: LOGIN, secure }
  const onboarding = createOnboarding({ sealer, secure, now })

  function failed(status: number, text: string): Reply {
    return page(status, endView('You are not logged in', text), { 'Set-Cookie': [clearCookie(loginCookie), onboarding.clear()] })
  }

  async function refused(asked: Asked, { reason, message }: OidcRefusal): Promise<Reply> {
    await note(parts, asked, 'sign-on')
    return failed(reason === 'unavailable' ? 503 : reason === 'answer' ? 502 : 401, message)
  }

  async function notBegun(asked: Asked): Promise<Reply> {
    await note(parts, asked, 'sign-on')
    return failed(400, 'This login was not begun in this browser, or too long ago')
  }

  async function userOf(external: string): Promise<UserRow | undefined> {
    const id = await queries().userIdByExternal(external)
    return id === undefined ? undefined : identity.user(id)
  }

  /** Whom the provider vouches for, as a user; undefined where they are new and have no name yet. */
  async function recorded(person: Person, external: string, autoOnboard: boolean): Promise<UserRow | undefined> {
    const known = await userOf(external)
    if (known !== undefined) return users.record(outsideUser(person, external, known.name), known)
    const { robot_name_prefix: prefix } = await settings()
    if (!autoOnboard || person.name === undefined || !isUserName(person.name, prefix)) return undefined
    const user = outsideUser(person, external, person.name)
    const made = await users.record(user, undefined)
    if (made !== undefined) return made
    // Two logins of somebody new at once: the other one made them.
    const other = await userOf(external)
    return other && users.record(user, other)
  }

  async function begin(asked: Asked): Promise<Reply> {
    const returnTo = safeReturnTo(asked.request.query['redirect_url'] ?? '/')
    if (returnTo === undefined) {
      await note(parts, asked, 'redirect')
      return failed(400, 'The address to go to after the login is not one of this registry')
    }
    const provider = await signOn()
    if (provider === undefined) return NO_PROVIDER
    const begun = await provider.party.begin()
    if (begun.kind === 'refusal') return refused(asked, begun)
    return goTo(begun.url, [setCookie(loginCookie, writeBegunLogin({ attempt: begun.attempt, returnTo }), LOGIN_LIFETIME_S)])
  }

  async function finish(asked: Asked): Promise<Reply> {
    const { request } = asked
    const provider = await signOn()
    if (provider === undefined) return NO_PROVIDER
    const begun = readBegunLogin(readCookie(loginCookie, request.headers.cookie) ?? '')
    if (begun === undefined) return notBegun(asked)
    const found = await provider.party.finish(URL.parse(request.url, publicUrl())?.search ?? '', begun.attempt)
    if (found.kind === 'refusal') return refused(asked, found)
    const { person } = found
    const external = `${person.issuer} ${person.subject}`
    if (!isLine(external, MAX_EXTERNAL)) return refused(asked, refusal('answer', 'The provider gave an answer that is none'))
    const returnTo = safeReturnTo(begun.returnTo) ?? '/'
    const user = await recorded(person, external, provider.settings.autoOnboard)
    if (user !== undefined) {
      const cookie = await beginSession(parts, asked, { login: { kind: 'user', id: user.id, credential: user.credential }, by: 'sign-on' })
      return typeof cookie === 'string' ? goTo(returnTo, [cookie, clearCookie(loginCookie), onboarding.clear()]) : failed(401, 'You were deleted while you logged in')
    }
    const kept = await onboarding.keep({ ...saidOf(person), external, suggested: isLine(person.name) ? person.name : '', returnTo })
    return goTo('/c/oidc/onboard', [kept, clearCookie(loginCookie)])
  }

  async function askForName(asked: Asked): Promise<Reply> {
    const person = await onboarding.find(asked.request.headers.cookie)
    return person === undefined ? notBegun(asked) : page(200, onboardingView(person.suggested))
  }

  /** Makes the user, and leads through the provider once more: groups are taken only from an answer of its own. */
  async function takeName(asked: Asked): Promise<Reply> {
    const { request } = asked
    if (isFromElsewhere(request.headers, publicUrl())) return fromElsewhere(parts, asked)
    const person = await onboarding.find(request.headers.cookie)
    if (person === undefined) return notBegun(asked)
    const name = fieldOf(request, 'username') ?? ''
    const { robot_name_prefix: prefix } = await settings()
    if (!isUserName(name, prefix)) return page(400, onboardingView(name, `No user can be called so: leave out , " ~ # % $ : and spaces at the ends, and do not begin with ${prefix}`))
    const { external, returnTo, email, realName } = person
    const said = { name, external, ...(email === undefined ? {} : { email }), ...(realName === undefined ? {} : { realName }) }
    const user = (await userOf(external)) ?? (await users.record({ source: 'oidc', person: said, groups: [], administrator: false }, undefined))
    if (user === undefined) return page(409, onboardingView(name, 'Somebody else has this name'))
    return page(200, leadingView(`You are ${user.name}`, `/c/oidc/login?redirect_url=${encodeURIComponent(returnTo)}`), { 'Set-Cookie': onboarding.clear() })
  }

  return { begin, finish, askForName, takeName } as const
}

function outsideUser(person: Person, external: string, name: string): OutsideUser {
  const groups = person.groups.filter((group) => isLine(group)).map((group) => ({ name: group }))
  return { source: 'oidc', person: { name, external, ...saidOf(person) }, groups, administrator: person.administrator }
}

/** What cannot be kept of what a provider says is left out. */
function saidOf({ email, realName }: Person): { readonly email?: string; readonly realName?: string } {
  return { ...(isLine(email) ? { email } : {}), ...(isLine(realName) ? { realName } : {}) }
}

/** Whether a text is one line that can be stored. */
function isLine(text: string | undefined, maxLength = 255): text is string {
  return text !== undefined && text.length <= maxLength && /^[^\p{Cc}\p{Cs}]+$/u.test(text)
}
