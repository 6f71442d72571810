/**
 * A refresh token's, in seconds, and the most that any token may have: a retired key is honoured for so long. `docker login` keeps a
 * refresh token instead of the password, and what it rests on is looked at each time it is used.
 */
export const LONGEST_LIFETIME_S = 90 * 86_400
