import type { Sessions } from '../identity/sessions/sessions.ts'
import type { Authenticate } from './authenticate.ts'
import type { SubjectOf } from './subjects.ts'

/**
 * Who asks where there is no Authorization header: by the session of a browser, where it has one. Not for /v2 and /service/token, which
 * no page calls.
 */
export function orBySession(authenticate: Authenticate, { sessions, subjectOf }: { readonly sessions: Pick<Sessions, 'find'>; readonly subjectOf: SubjectOf }): Authenticate {
  return async (request, address) => {
    const { authorization, cookie } = request.headers
    const session = authorization === undefined ? await sessions.find(cookie) : undefined
    if (session === undefined) return authenticate(request, address)
    const login = { kind: 'user', id: session.user, credential: session.credential } as const
    const subject = await subjectOf(login)
    if (subject === 'unavailable') return { refused: true, reason: 'directory' }
    if (subject !== 'ended') return { subject, login, scope: undefined, session }
    const nobody = await authenticate(request, address)
    return 'refused' in nobody ? nobody : { ...nobody, ended: login }
  }
}

/** For pages: a browser has a session or none, and a login in a header is not looked at. */
export function bySessionAlone(authenticate: Authenticate): Authenticate {
  return ({ method, url, headers, socket }, address) => authenticate({ method, url, socket, headers: { ...headers, authorization: undefined } }, address)
}
