import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SessionRecord, SessionStore } from '../../ports/session-store.ts'
import { SESSION, clearCookie, readCookie, readCookies, setCookie } from './cookies.ts'

export type Session = Pick<SessionRecord, 'user' | 'credential'> & {
  /** What unsafe requests of this session must carry in `X-Harbor-CSRF-Token`, and what its answers tell the page in the same header. */
  readonly csrfToken: string
}

export type Sessions = {
  /**
   * After a login: a new session, and the `Set-Cookie` of it. The one that the browser had, if any, is ended: an id that was known before
   * the login, to whomever, is worth nothing after it. `lifetimeMs`: from the login on, whatever happens in between.
   */
  begin(login: Pick<SessionRecord, 'user' | 'credential'>, cookieHeader: string | undefined, lifetimeMs: number): Promise<string>
  find(cookieHeader: string | undefined): Promise<Session | undefined>
  /** Whether there is a cookie that is formed as a session's, which may be none, or none any more. Others of its name are another program's of this host. */
  claims(cookieHeader: string | undefined): boolean
  /** At a log-out: the `Set-Cookie` that takes the cookie away. */
  end(cookieHeader: string | undefined): Promise<string>
}

export type SessionsParts = {
  readonly store: SessionStore
  /** Whether the registry's public URL is https. */
  readonly secure: boolean
  readonly now?: () => Date
}

const ID = /^[A-Za-z0-9_-]{43}$/

/**
 * The cookie holds 256 random bits and nothing else; whose session it is, the store knows, by their hash. So whatever ends a session ends
 * it at the next request.
 */
export function createSessions({ store, secure, now = () => new Date() }: SessionsParts): Sessions {
  const cookie = { name: SESSION, secure }

  function idIn(cookieHeader: string | undefined): string | undefined {
    const id = readCookie(cookie, cookieHeader)
    return id !== undefined && ID.test(id) ? id : undefined
  }

  async function remove(cookieHeader: string | undefined): Promise<void> {
    const id = idIn(cookieHeader)
    if (id !== undefined) await store.remove(keyOf(id))
  }

  return {
    async begin({ user, credential }, cookieHeader, lifetimeMs) {
      await remove(cookieHeader)
      const id = randomBytes(32).toString('base64url')
      const begunAt = now()
      await store.create(keyOf(id), { user, credential, begunAt, endsAt: new Date(begunAt.getTime() + lifetimeMs) })
      return setCookie(cookie, id, Math.floor(lifetimeMs / 1_000))
    },

    async find(cookieHeader) {
      const id = idIn(cookieHeader)
      const session = id === undefined ? undefined : await store.get(keyOf(id))
      if (id === undefined || session === undefined || session.endsAt <= now()) return undefined
      const { user, credential } = session
      return { user, credential, csrfToken: createHmac('sha256', id).update('varve csrf token 1').digest('base64url') }
    },

    claims: (cookieHeader) => readCookies(cookie, cookieHeader).some((value) => ID.test(value)),

    async end(cookieHeader) {
      await remove(cookieHeader)
      return clearCookie(cookie)
    },
  }
}

function keyOf(id: string): string {
  return createHash('sha256').update(id).digest('hex')
}

export const CSRF_HEADER = 'X-Harbor-CSRF-Token'

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Whether a request that a session's cookie came with may do what it asks: another site can send the cookie along, but not know the token.
 */
export function mayAct(session: Session, method: string, token: string | undefined): boolean {
  if (SAFE_METHODS.has(method)) return true
  const [given, wanted] = [Buffer.from(token ?? ''), Buffer.from(session.csrfToken)]
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/**
 * Whether a browser says that another site's page sent a request. Wanted where there is no session yet to have a token: else that page
 * could log its visitor in as somebody of its choice. Who is no browser says nothing, and has no visitor to deceive.
 */
export function isFromElsewhere(
  headers: { readonly origin?: string | undefined; readonly 'sec-fetch-site'?: string | undefined },
  publicUrl: string,
): boolean {
  const { origin, 'sec-fetch-site': site } = headers
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return origin !== undefined && origin !== new URL(publicUrl).origin
}
