import { statfs } from 'node:fs/promises'
import { createApp } from '../api/app.ts'
import { createDirectConnections } from '../api/direct/connections.ts'
import type { Management } from '../api/management/management.ts'
import { managementRouter } from '../api/management/router.ts'
import { routes } from '../api/management/routes.ts'
import type { Metrics } from '../api/metrics.ts'
import { createOciHandler } from '../api/oci/http.ts'
import { createOciAnswerer } from '../api/oci/router.ts'
import { createSignOn } from '../api/oidc.ts'
import { pageRoutes } from '../api/pages/pages.ts'
import { startHttpServer } from '../api/server.ts'
import type { HttpServer } from '../api/server.ts'
import { tokenRoutes } from '../api/token/token.ts'
import { routes as varveRoutes } from '../api/varve/routes.ts'
import type { Opened } from '../cli/opened.ts'
import { createDelays } from '../identity/passwords/delays.ts'
import { MAX_SKEW_MS } from '../ports/event-log.ts'
import { createTrailReader } from '../projections/trail-reader.ts'
import type { Logins } from './logins.ts'
import type { StartedRegistry } from './registry.ts'
import type { Requesters } from './requesters.ts'
import type { TokenKeys } from './token-keys.ts'

/** What the doors open onto. */
type Parts = {
  readonly opened: Opened
  readonly started: StartedRegistry
  readonly logins: Logins
  readonly tokenKeys: TokenKeys
  readonly requesters: Requesters
  readonly release: string
  readonly metrics: Metrics
  readonly publicUrl: () => string
}

/** Listens, and serves /v2, tokens, the two APIs, the pages and what monitors ask for. */
export async function openDoors(parts: Parts): Promise<HttpServer> {
  const { opened: { config, logger }, started: { registry }, logins, tokenKeys: { tokens, jwks }, requesters, metrics, publicUrl } = parts
  const { logIn, subjectOf, users, outbound } = logins
  const { addressOf, sessions, secure, clients, callers, visitors } = requesters
  const management = createManagement(parts)
  const answer = createOciAnswerer({ registry, identify: clients.identify })
  const signOn = createSignOn({ settings: registry.settings, outbound, publicUrl })
  return startHttpServer({
    listen: config.listen,
    tls: config.tls,
    handler: createApp({
      oci: createOciHandler(answer, logger),
      token: tokenRoutes({ registry, tokens, jwks, ...clients, logIn, subjectOf, addressOf }),
      management: managementRouter(routes, management, callers.identify),
      varve: managementRouter(varveRoutes, management, callers.identify),
      pages: pageRoutes({ management, signOn, users, sessions, secure, ...visitors, logIn, subjectOf, addressOf }),
      readiness: management.readiness,
      metrics,
      metricsToken: config.metricsToken,
      logger,
    }),
    direct: (connections) => createDirectConnections({ ...connections, answer, metrics, logger }),
    log: logger,
  })
}

function createManagement({ opened, started, logins, release, publicUrl }: Parts): Management {
  const { config, log, pool, sealer, logger } = opened
  const { registry, readModels } = started
  const { identity, access, decisionRows, handle, visible, settings, now } = registry
  const { logIn, verifiers, outbound, ldap } = logins
  return {
    identity,
    queries: readModels.queries,
    log,
    decisionRows,
    handle,
    trail: createTrailReader({ pool, log, schema: readModels.schema, reached: () => readModels.checkpoints().trail }),
    access,
    visible,
    sealer,
    verifiers,
    logIn,
    registrations: createDelays({ now: Date.now }),
    outbound,
    settings,
    readiness: () => [
      ...(readModels.failure() === undefined ? [] : ['a projection stopped: see the log']),
      ...(Math.abs(log.clockSkewMs()) > MAX_SKEW_MS ? [`this machine's clock and the log's are more than ${MAX_SKEW_MS / 1000} s apart`] : []),
    ],
    directory: () => ldap.directory(),
    async volume() {
      const { blocks, bavail, bsize } = await statfs(config.blobFolder)
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
    },
    release,
    publicUrl,
    now,
    logger,
  }
}
