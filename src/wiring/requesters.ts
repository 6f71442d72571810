import { createAnonymous } from '../api/anonymous.ts'
import { createAuthenticator } from '../api/authenticate.ts'
import { bySessionAlone, orBySession } from '../api/by-session.ts'
import { clientAddress } from '../api/client-address.ts'
import type { RequestHead } from '../api/request-head.ts'
import { createIdentify } from '../api/requester.ts'
import type { Opened } from '../cli/opened.ts'
import { isLoopback } from '../config.ts'
import { createSessions } from '../identity/sessions/sessions.ts'
import type { Tokens } from '../identity/tokens/tokens.ts'
import { openSessionStore } from '../storage/sessions.ts'
import type { Logins } from './logins.ts'
import type { StartedRegistry } from './registry.ts'

export type Requesters = Awaited<ReturnType<typeof createRequesters>>

/** What finds out who makes a request, by which of its headers a door looks at. */
export async function createRequesters(
  opened: Opened,
  { registry, queryPool }: StartedRegistry,
  logins: Logins,
  tokens: Tokens,
  registryId: string,
) {
  const { config, logger, sealer } = opened
  const { access, now } = registry
  const { logIn, subjectOf } = logins
  const addressOf = (request: RequestHead): string => clientAddress(request, config.trustedProxies).address
  const anonymous = createAnonymous(registryId, now)
  const { protocol, hostname } = new URL(config.publicUrl ?? (config.tls === undefined ? 'http://localhost' : 'https://localhost'))
  const secure = protocol === 'https:'
  if (!secure && !isLoopback(hostname)) {
    logger.warn('clients come by plain http: whoever is on the way can read and take passwords, tokens and sessions')
  }
  const sessionStore = await openSessionStore(queryPool)
  const sessions = createSessions({ store: sessionStore, secure })
  const byHeader = createAuthenticator({ logIn, tokens, anonymous, subjectOf })
  const byHeaderOrSession = orBySession(byHeader, { sessions, subjectOf })
  const common = { access, sealer, anonymous, addressOf, now }

  return {
    addressOf,
    sessions,
    sessionStore,
    /** Whether browsers come by https. */
    secure,
    /** To /v2 and for tokens: by their Authorization header. */
    clients: createIdentify({ ...common, authenticate: byHeader }),
    /** To /api: by that header, or a browser's session. */
    callers: createIdentify({ ...common, authenticate: byHeaderOrSession }),
    /** To the pages: by a browser's session alone. */
    visitors: createIdentify({ ...common, authenticate: bySessionAlone(byHeaderOrSession) }),
  }
}
