import type { Subject } from '../commands/access/rights.ts'
import type { LoginWay } from '../commands/activity/events.ts'
import type { Session } from '../identity/sessions/sessions.ts'
import type { Access } from '../identity/tokens/scope.ts'
import type { TokenRefusal, Tokens } from '../identity/tokens/tokens.ts'
import type { LogIn, LoggedIn, Login, LoginRefusal } from './login.ts'
import type { RequestHead } from './request-head.ts'
import type { SubjectOf } from './subjects.ts'

/** What a token was given for. */
export type Scope = readonly Access[]

/** Who asks, as they are at this moment, and what their token was given for; undefined: for all that they may do. */
export type Identified = {
  readonly subject: Subject
  readonly login: Login
  readonly scope: Scope | undefined
  /** How they logged in, where that is to be put on record; `recorded` is called once it is. */
  readonly by?: LoginWay
  readonly recorded?: (() => void) | undefined
  /** What they came by, where that is a browser's session; and whose it was, where it has ended or is none: they are nobody then. */
  readonly session?: Session
  readonly ended?: Login | 'unknown'
}

/** Why a request's credentials let nobody in. Of a token that has `ended`: whose it was. */
export type AuthRefusal =
  | LoginRefusal
  | { readonly refused: true; readonly reason: 'token'; readonly why: TokenRefusal }
  | { readonly refused: true; readonly reason: 'token'; readonly why: 'ended'; readonly login: Login }

const DIRECTORY: AuthRefusal = { refused: true, reason: 'directory' }

export type Authenticate = (request: RequestHead, address: string) => Promise<Identified | AuthRefusal>

/**
 * Who asks, by the Authorization header: nobody, a name and secret (Basic), or a token of `/service/token` (Bearer). However they came,
 * their rights are looked up at each request, and what they came by must still be good: a password changed, a robot disabled or a user
 * deleted ends every token and every remembered login at once.
 */
export function createAuthenticator(options: {
  readonly logIn: LogIn
  readonly tokens: Pick<Tokens, 'known' | 'verifyAccess'>
  /** Anonymous callers share subjects, told by their address. */
  readonly anonymous: (address: string) => Subject
  readonly subjectOf: SubjectOf
}): Authenticate {
  const { logIn, tokens, anonymous, subjectOf } = options

  const nobody = (subject: Subject, scope?: Scope): Identified => ({ subject, login: { kind: 'anonymous', id: subject.id, credential: '' }, scope })

  return async ({ headers: { authorization } }, address) => {
    if (authorization === undefined) return nobody(anonymous(address))
    const [, scheme = '', value = ''] = /^([A-Za-z]+) +(.*)$/.exec(authorization) ?? []
    switch (scheme.toLowerCase()) {
      case 'bearer': {
        const known = tokens.known(value)
        const verified = known === undefined ? tokens.verifyAccess(value) : { claims: known }
        if ('refused' in verified) return { refused: true, reason: 'token', why: verified.refused }
        const { claims } = verified
        const login = loginOf(claims)
        if (login.kind === 'anonymous') return nobody(anonymous(address), claims.access)
        const subject = await subjectOf(login)
        if (subject === 'unavailable') return DIRECTORY
        return subject === 'ended' ? { refused: true, reason: 'token', why: 'ended', login } : { subject, login, scope: claims.access }
      }
      case 'basic': {
        const decoded = Buffer.from(value, 'base64').toString()
        const colon = decoded.indexOf(':')
        if (colon < 0) return { refused: true, reason: 'credentials' }
        const loggedIn = await logIn(decoded.slice(0, colon), decoded.slice(colon + 1), address)
        return 'refused' in loggedIn ? loggedIn : identified(loggedIn, subjectOf)
      }
      default:
        return { refused: true, reason: 'credentials' }
    }
  }
}

/** Who somebody that logged in just now is. `ended`: the answer where what they came by has, which for a secret is that of a wrong one. */
export async function identified(
  { login, by, fresh, recorded }: LoggedIn,
  subjectOf: SubjectOf,
  ended: AuthRefusal = { refused: true, reason: 'credentials' },
): Promise<Identified | AuthRefusal> {
  const subject = await subjectOf(login)
  if (subject === 'unavailable') return DIRECTORY
  return subject === 'ended' ? ended : { subject, login, scope: undefined, ...(fresh ? { by, recorded } : {}) }
}

/** Who a token is for, and what it rests on. */
export function loginOf({ sub, cred }: { readonly sub: string; readonly cred: string }): Login {
  const colon = sub.indexOf(':')
  const kind = sub.slice(0, colon)
  return { kind: kind === 'user' || kind === 'robot' ? kind : 'anonymous', id: sub.slice(colon + 1), credential: cred }
}
