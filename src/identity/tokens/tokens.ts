import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { parseAccessClaims, parseRefreshClaims } from './claims.ts'
import type { AccessClaims, RefreshClaims } from './claims.ts'
import { openJws, signJws, verifyEs256 } from './jws.ts'
import type { JwsRefusal, TokenType, VerifySignature } from './jws.ts'
import type { Keyring } from './keyring.ts'
import { LONGEST_LIFETIME_S } from './lifetimes.ts'
import type { Access } from './scope.ts'

export type TokenRefusal = JwsRefusal | 'issuer' | 'audience' | 'expired' | 'not-yet'

export type Verified<C> = { readonly claims: C } | { readonly refused: TokenRefusal }

export type Issued = { readonly token: string; readonly claims: AccessClaims }

/** Whom a token is for: `user:<uuid>`, `robot:<uuid>` or `anonymous:<id>`. */
export type TokenSubject = { readonly sub: string; readonly cred: string }

export type Tokens = ReturnType<typeof createTokens>

export type TokensOptions = {
  /** From configuration, never from a request; a port that the system gives is known once it listens. */
  readonly issuer: () => string
  readonly audience: string
  readonly keyring: Keyring
  readonly now: () => number
  /** For tests, which count the checks. */
  readonly verifySignature?: VerifySignature
}

/** A token of a process whose clock is ahead is honoured: no clock that writes is more than 5 s off the log server's. */
const LEEWAY_S = 10

const MOST_REMEMBERED = 20_000
/** Of the tokens' text, which their claims are about as large as: anybody may be given an anonymous one. */
const MOST_REMEMBERED_CHARACTERS = 16 * 1024 * 1024

/** Issues and verifies the registry's own tokens. */
export function createTokens({ issuer, audience, keyring, now, verifySignature = verifyEs256 }: TokensOptions) {
  let ring = keyring
  /** By the text itself: a hash of it at each request would be half of what a token costs there. The keys that sign are in this memory, too. */
  const remembered = new LRUCache<string, AccessClaims>({ max: MOST_REMEMBERED, maxSize: MOST_REMEMBERED_CHARACTERS })

  /** Throws where no key is active, or the token would outlive its key. */
  function issue<C extends object>(type: TokenType, own: C, lifetimeS: number) {
    const key = ring.signing(now())
    if (key === undefined) throw new Error('no signing key is active')
    if (!(lifetimeS > 0 && lifetimeS <= LONGEST_LIFETIME_S)) throw new Error(`a token cannot live for ${lifetimeS} s`)
    const iat = Math.floor(now() / 1000)
    const claims = { iss: issuer(), aud: audience, ...own, iat, nbf: iat, exp: iat + Math.floor(lifetimeS), jti: randomUUID() }
    return { token: signJws(key, type, claims), claims }
  }

  function verify<C extends RefreshClaims>(text: string, type: TokenType, parse: (payload: unknown) => C | undefined): Verified<C> {
    const opened = openJws(text, type, ring, now(), verifySignature)
    if ('refused' in opened) return opened
    const claims = parse(opened.payload)
    if (claims === undefined) return { refused: 'malformed' }
    if (claims.iss !== issuer()) return { refused: 'issuer' }
    if (claims.aud !== audience) return { refused: 'audience' }
    if (isExpired(claims)) return { refused: 'expired' }
    if (now() / 1000 < claims.nbf - LEEWAY_S) return { refused: 'not-yet' }
    return { claims }
  }

  function isExpired(claims: RefreshClaims): boolean {
    return now() / 1000 >= claims.exp
  }

  return {
    issueAccess({ sub, cred }: TokenSubject, access: readonly Access[], lifetimeS: number): Issued {
      const granted = access.map(({ type, name, actions }) => ({ type, name, actions: [...actions] }))
      return issue('at+jwt', { sub, cred, access: granted }, lifetimeS)
    },

    issueRefresh({ sub, cred }: TokenSubject, lifetimeS: number): string {
      return issue('varve-refresh+jwt', { sub, cred }, lifetimeS).token
    },

    /** The claims of a token that `verifyAccess` has let in, until it expires: no promise, no signature check. */
    known(text: string): AccessClaims | undefined {
      const claims = remembered.get(text)
      if (claims === undefined || !isExpired(claims)) return claims
      remembered.delete(text)
      return undefined
    },

    verifyAccess(text: string): Verified<AccessClaims> {
      const verified = verify(text, 'at+jwt', parseAccessClaims)
      // A copy: a part of a text keeps the whole of it in memory, and this one is a part of a request.
      if ('claims' in verified) remembered.set(Buffer.from(text).toString(), verified.claims, { size: text.length })
      return verified
    },

    verifyRefresh(text: string): Verified<RefreshClaims> {
      return verify(text, 'varve-refresh+jwt', parseRefreshClaims)
    },

    /** Takes other keys from now on. What was verified with the old ones is verified anew: one of them may have been withdrawn. */
    use(keyring: Keyring): void {
      ring = keyring
      remembered.clear()
    },
  }
}
