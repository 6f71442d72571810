/** An access token's, unless the registry is configured otherwise. Rights are looked up at each request, so a revoked one ends before. */
export const ACCESS_LIFETIME_S = 1800

/** A refresh token's, and the most that any token may have: a retired key is honoured for so long. */
export const LONGEST_LIFETIME_S = 30 * 86_400
