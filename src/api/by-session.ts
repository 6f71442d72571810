import type { Sessions } from '../identity/sessions/sessions.ts'
import type { AuthRefusal, Authenticate, Identified } from './authenticate.ts'
import type { Login } from './login.ts'
import type { SubjectOf } from './subjects.ts'

/**
 * Who asks where there is no Authorization header: by the session of a browser, where it has one. Not for /v2 and /service/token, which
 * no page calls.
 */
export function orBySession(authenticate: Authenticate, { sessions, subjectOf }: { readonly sessions: Pick<Sessions, 'find' | 'claims'>; readonly subjectOf: SubjectOf }): Authenticate {
  return async (request, address) => {
    const { authorization, cookie } = request.headers
    const nobody = async (ended: Login | 'unknown'): Promise<Identified | AuthRefusal> => {
      const found = await authenticate(request, address)
      return 'refused' in found ? found : { ...found, ended }
    }
    if (authorization !== undefined || !sessions.claims(cookie)) return authenticate(request, address)
    const session = await sessions.find(cookie)
    if (session === undefined) return nobody('unknown')
    const login = { kind: 'user', id: session.user, credential: session.credential } as const
    const subject = await subjectOf(login)
    if (subject === 'unavailable') return { refused: true, reason: 'directory' }
    return subject === 'ended' ? nobody(login) : { subject, login, scope: undefined, session }
  }
}

/** For pages: a browser has a session or none, and a login in a header is not looked at. */
export function bySessionAlone(authenticate: Authenticate): Authenticate {
  return ({ method, url, headers, socket }, address) => authenticate({ method, url, socket, headers: { ...headers, authorization: undefined } }, address)
}
