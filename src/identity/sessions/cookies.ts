import type { LoginAttempt } from '../oidc/relying-party.ts'

/**
 * A cookie of ours. `secure`: false only where the registry's public URL itself is plain http, over which no browser would send it
 * otherwise.
 */
export type Cookie = { readonly name: string; readonly secure: boolean }

export const SESSION = 'sid'
export const LOGIN = 'oidc'

/** With `__Host-`, no neighbour below the same domain and no page over http can put one of its own in its place (RFC 6265bis, 4.1.3.2). */
export function fullName({ name, secure }: Cookie): string {
  return secure ? `__Host-${name}` : name
}

/** The value of `Set-Cookie`. Lax, not Strict: the provider's redirect back must bring it along. */
export function setCookie(cookie: Cookie, value: string, maxAgeSeconds: number): string {
  return `${fullName(cookie)}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax${cookie.secure ? '; Secure' : ''}`
}

export function clearCookie(cookie: Cookie): string {
  return setCookie(cookie, '', 0)
}

/** Its value in a `Cookie` header. Two of one name are none: one of them may have been put there by somebody else. */
export function readCookie(cookie: Cookie, header: string | undefined): string | undefined {
  const [value, ...more] = readCookies(cookie, header)
  return more.length > 0 ? undefined : value
}

/** The values of all of its name. */
export function readCookies(cookie: Cookie, header: string | undefined): readonly string[] {
  const prefix = `${fullName(cookie)}=`
  return (header ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(prefix))
    .map((part) => part.slice(prefix.length))
}

/** What a browser keeps while it is at the provider, and where it goes afterwards. */
export type BegunLogin = { readonly attempt: LoginAttempt; readonly returnTo: string }

/** Not sealed: all in it is the browser's own, and of no use without the provider's answer to this very login. */
export function writeBegunLogin({ attempt: { state, nonce, codeVerifier }, returnTo }: BegunLogin): string {
  return [state, nonce, codeVerifier, returnTo].map((part) => Buffer.from(part).toString('base64url')).join('.')
}

/** Undefined: it is none of ours. `returnTo` is still to be checked by `safeReturnTo`. */
export function readBegunLogin(text: string): BegunLogin | undefined {
  const [state, nonce, codeVerifier, returnTo, ...more] = text.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  if (state === undefined || nonce === undefined || codeVerifier === undefined || returnTo === undefined || more.length > 0)
    return undefined
  return state === '' || nonce === '' || codeVerifier === '' ? undefined : { attempt: { state, nonce, codeVerifier }, returnTo }
}
