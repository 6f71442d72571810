import type { Issued } from './tokens.ts'

/**
 * What `/service/token` answers. Docker reads `token`, OAuth 2 clients `access_token`: the same. `refresh_token` only where it was
 * asked for.
 */
export type TokenResponse = {
  readonly token: string
  readonly access_token: string
  readonly expires_in: number
  readonly issued_at: string
  readonly refresh_token?: string
}

export function tokenResponse({ token, claims }: Issued, refreshToken?: string): TokenResponse {
  return {
    token,
    access_token: token,
    expires_in: claims.exp - claims.iat,
    issued_at: new Date(claims.iat * 1000).toISOString(),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  }
}
