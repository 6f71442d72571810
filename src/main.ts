import { X509Certificate, createSecretKey, randomUUID } from 'node:crypto'
import { mkdir, readFile, statfs } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import type { KeyObject } from 'node:crypto'
import type { ClientConfig } from 'pg'
import { createAnonymous } from './api/anonymous.ts'
import { createApp } from './api/app.ts'
import { createAuthenticator } from './api/authenticate.ts'
import { bySessionAlone, orBySession } from './api/by-session.ts'
import { clientAddress } from './api/client-address.ts'
import { createLdapLogin } from './api/ldap-login.ts'
import { createLogin } from './api/login.ts'
import type { Login } from './api/login.ts'
import { managementRouter } from './api/management/router.ts'
import { routes } from './api/management/routes.ts'
import type { Management } from './api/management/management.ts'
import { routes as varveRoutes } from './api/varve/routes.ts'
import { createMetrics } from './api/metrics.ts'
import type { Metrics } from './api/metrics.ts'
import { createDirectConnections } from './api/direct/connections.ts'
import { createOciHandler } from './api/oci/http.ts'
import { createOciAnswerer } from './api/oci/router.ts'
import { createSignOn } from './api/oidc.ts'
import { createOutsideUsers } from './api/outside-user.ts'
import { pageRoutes } from './api/pages/pages.ts'
import { createPasswordUpgrade } from './api/password-upgrade.ts'
import type { Registry } from './api/registry.ts'
import type { RequestHead } from './api/request-head.ts'
import { createIdentify } from './api/requester.ts'
import { startHttpServer } from './api/server.ts'
import { createSettings } from './api/settings.ts'
import { createSubjects } from './api/subjects.ts'
import { currentKeyring } from './api/token/keys.ts'
import { SERVICE, tokenRoutes } from './api/token/token.ts'
import { flushOutput } from './cli/output.ts'
import { runCli } from './cli/program.ts'
import type { Opened } from './cli/opened.ts'
import type { LoginWay } from './commands/activity/events.ts'
import { createAccessRecorder } from './commands/activity/record-access.ts'
import { startPullRecorder } from './commands/activity/record.ts'
import { alarmsAggregate } from './commands/alarm/aggregate.ts'
import { bootstrap } from './commands/bootstrap.ts'
import { createCodec } from './commands/codec.ts'
import { eventTypes } from './commands/event-types.ts'
import { createHandler } from './commands/handle.ts'
import type { RegistryCreated } from './commands/settings/events.ts'
import { isLoopback, loadConfig, reserveBytes } from './config.ts'
import type { Config, EventStoreLocation } from './config.ts'
import { makeSecret } from './identity/passwords/made-secret.ts'
import { createCredentialCheck } from './identity/passwords/check.ts'
import type { CheckFailure } from './identity/passwords/check.ts'
import { createDelays } from './identity/passwords/delays.ts'
import { createCredentialMemory } from './identity/passwords/remembered.ts'
import { makeArgon2Verifier } from './identity/passwords/schemes.ts'
import { createSlots, passwordThreads } from './identity/passwords/slots.ts'
import { createVerifiers } from './identity/passwords/verifiers.ts'
import { createSessions } from './identity/sessions/sessions.ts'
import { bearerChallenge } from './identity/tokens/challenge.ts'
import { createTokens } from './identity/tokens/tokens.ts'
import { createWorkloadVerifier } from './identity/workload/verifier.ts'
import { createOutbound } from './outbound/client.ts'
import { createLogger } from './logger.ts'
import type { Logger } from './logger.ts'
import { parseManifest } from './oci/manifest.ts'
import { isRefusal } from './oci/errors.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { EventLog } from './ports/event-log.ts'
import type { Event, FactOf } from './ports/event.ts'
import type { Sealer } from './ports/key-store.ts'
import { comparePositions, positionNumber } from './ports/position.ts'
import type { Position } from './ports/position.ts'
import { streams } from './ports/streams.ts'
import { createTrailReader } from './projections/trail-reader.ts'
import { startReadModels } from './projections/follower.ts'
import type { IdentityQueries } from './projections/identity-queries.ts'
import type { PrivatePart } from './projections/projection.ts'
import { prepareRegister } from './projections/read-models.ts'
import type { Reads } from './projections/runner.ts'
import { openFileBlobStore } from './storage/blobs/file.ts'
import { cachingBlobStore } from './storage/blobs/memory-cache.ts'
import type { ServerSettings } from './storage/events/eventstoredb/client.ts'
import { openEventStoreLog } from './storage/events/eventstoredb/log.ts'
import { prepareServer } from './storage/events/eventstoredb/prepare.ts'
import { openPostgresLog } from './storage/events/postgres/log.ts'
import { loadMasterKey, openFileKeyStore } from './storage/keys/file.ts'
import { createSealer } from './storage/keys/sealer.ts'
import { connectToRunning, startEmbeddedPostgres } from './storage/postgres/embedded.ts'
import { takeServerLock } from './storage/postgres/server-lock.ts'
import { createPool } from './storage/postgres/pool.ts'
import { openSessionStore } from './storage/sessions.ts'
import { openUploadSessions } from './storage/upload-sessions.ts'

const { version: release } = createRequire(import.meta.url)('../package.json') as { version: string }

/** A request waits this long for the log, and an answer for its position to be visible. */
const PATIENCE_MS = 10_000
/** A server that was killed is still seen by its Postgres for a moment. */
const LOCK_PATIENCE_MS = 2_000
const SHUTDOWN_MS = 15_000
/** An upload that nobody touched for this long is abandoned. */
const UPLOAD_LIFETIME_MS = 7 * 24 * 3_600_000
const PURGE_INTERVAL_MS = 3_600_000
/** Another process may have made a new pair: it signs an hour after. */
const ROTATION_INTERVAL_MS = 600_000
/** As few as Node has by itself: scripts/run.js gives it more, another start may not. */
const LIBUV_THREADS = 4
/** Some thirty milliseconds each. */
const MOST_PASSWORDS_WAITING = 100
/** How often the same trouble with the log is told of. */
const RETRY_LINE_MS = 10_000
/** What is kept of an alarm's detail, in characters. */
const MAX_DETAIL = 1_000

/** Where Postgres is: the one of the configuration, the data folder's own that a server runs, or the data folder's own, started here. */
async function openPostgres(config: Config, logger: Logger, server: boolean): Promise<{ connection: ClientConfig; serverRuns: boolean; stop(): Promise<void> }> {
  const elsewhere = config.postgresUrl === undefined ? undefined : { connectionString: config.postgresUrl }
  const running = elsewhere ?? (server ? undefined : await connectToRunning(config.dataFolder))
  if (running !== undefined) {
    const lock = await takeServerLock(running, server ? LOCK_PATIENCE_MS : 0, (line) => {
      logger.warn(line)
    })
    if (server && lock === undefined) throw new Error('another Varve server works on this Postgres: stop it first')
    // A command only looks whether a server is there: it keeps none from starting.
    if (!server) await lock?.release()
    return { connection: running, serverRuns: lock === undefined, stop: async () => lock?.release() }
  }
  const embedded = await startEmbeddedPostgres({
    dataFolder: config.dataFolder,
    keepRunning: server,
    log: (line) => {
      logger.info({ part: 'postgres' }, line)
    },
  })
  return { connection: embedded.connection, serverRuns: false, stop: () => embedded.stop() }
}

/** What a fold may read beside its event. */
function readsOf(blobs: BlobStore, sealer: Sealer, logger: Logger): Reads {
  return {
    async manifest(digest, mediaType) {
      const bytes = await blobs.read(digest)
      const manifest = bytes === undefined ? undefined : parseManifest(bytes, mediaType)
      if (manifest !== undefined && !isRefusal(manifest)) return manifest
      logger.error({ digest }, 'the bytes of a manifest are gone or corrupt: its references are not in the read models')
      return undefined
    },
    async openPrivate(sealed): Promise<PrivatePart | undefined> {
      const clear = await sealer.open(sealed)
      return clear === undefined ? undefined : (JSON.parse(clear) as PrivatePart)
    },
    forgotten: (subject) => sealer.forget(subject),
  }
}

async function serverSettings({ nodes, discover, user, tls }: EventStoreLocation): Promise<ServerSettings> {
  return { nodes, discover, user, tls: tls && { ca: tls.caFile === undefined ? undefined : await readFile(tls.caFile) } }
}

/** Opens the log where the configuration says that it is. */
async function openLog(config: Config, postgres: ClientConfig, logger: Logger, metrics: Metrics): Promise<Opened['log']> {
  const codec = createCodec(eventTypes)
  const committed = ({ events, seconds }: { readonly events: number; readonly seconds: number }): void => {
    metrics.committed(events, seconds)
  }
  if (config.log?.kind !== 'eventstoredb') return openPostgresLog(config.log === undefined ? postgres : { connectionString: config.log.url }, codec, committed)

  const settings = { ...(await serverSettings(config.log)), space: config.log.space }
  const told = new Map<string, number>()
  const log = await openEventStoreLog(settings, codec, {
    committed,
    retried({ what, reason, error }) {
      metrics.retried(what, reason)
      // A hundred appends fail at once, and once more at each try.
      if (performance.now() - (told.get(`${what} ${reason}`) ?? -Infinity) < RETRY_LINE_MS) return
      told.set(`${what} ${reason}`, performance.now())
      logger.warn({ err: error, what, reason }, 'the log gave no answer: it is asked again')
    },
    alarmed({ tampering, stream, detail }) {
      metrics.tampered(tampering)
      logger.error({ tampering, stream, detail }, 'ALARM: somebody changed what the log keeps')
      const alarm = { tampering, stream, detail: detail.slice(0, MAX_DETAIL) }
      createHandler(log)(alarmsAggregate, alarm, { actor: { kind: 'system', subject: randomUUID() }, now: () => new Date() }).catch((err: unknown) => {
        logger.error({ err, tampering, stream }, 'the alarm could not be written to the log')
      })
    },
  })
  metrics.watchLeader(() => log.leader())
  metrics.watchSubscriptions(() => log.behind())
  return log
}

/** Opens what every command works with. What was opened is closed in the reverse order, also where a later one fails to open. */
async function open(config: Config, logger: Logger, server: boolean, metrics = createMetrics()): Promise<Opened> {
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const each of closers.reverse().splice(0)) await each()
  }
  try {
    await mkdir(config.dataFolder, { recursive: true, mode: 0o700 })
    await mkdir(config.blobFolder, { recursive: true, mode: 0o700 })
    const postgres = await openPostgres(config, logger, server)
    closers.push(() => postgres.stop())
    const pool = createPool({ ...postgres.connection, max: 6, application_name: 'varve', pipeline: true })
    closers.push(() => pool.end())
    const log = await openLog(config, postgres.connection, logger, metrics)
    closers.push(() => log.close())
    const keys = await openFileKeyStore({ folder: config.blobFolder, masterKey: await loadMasterKey(config.masterKeyFile) })
    const { blocks, bsize } = await statfs(config.blobFolder)
    const files = await openFileBlobStore({ folder: config.blobFolder, minFreeBytes: reserveBytes(config.minFree, blocks * bsize) })
    // A command reads each blob once.
    const blobs = server ? cachingBlobStore(files, { maxBytes: config.cacheBytes }) : files
    const sealer = createSealer(keys)
    await prepareRegister(pool)
    return { config, logger, connection: postgres.connection, pool, log, blobs, sealer, reads: readsOf(blobs, sealer, logger), serverRuns: postgres.serverRuns, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The certificate authorities that are trusted beside the system's in what is called. */
async function outboundAuthorities({ outboundCaFile: file }: Config): Promise<{ readonly authorities?: string }> {
  if (file === undefined) return {}
  const authorities = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`VARVE_OUTBOUND_CA: ${String(error)}`, { cause: error })
  })
  try {
    // Reads the first, and throws where there is none.
    new X509Certificate(authorities)
  } catch (error) {
    throw new Error(`VARVE_OUTBOUND_CA: ${file} holds no certificate`, { cause: error })
  }
  return { authorities }
}

/** The key of the keyed hashes that machine-made secrets are kept as. */
async function verifierKey(queries: () => Pick<IdentityQueries, 'verifierKey'>, sealer: Sealer): Promise<KeyObject> {
  const sealed = await queries().verifierKey()
  const key = sealed && (await sealer.open(sealed))
  if (key === undefined) throw new Error('the log has no key for the secrets of machines')
  return createSecretKey(key, 'base64')
}

/** The registry's random id, from its first event. */
async function registryId(log: EventLog): Promise<string> {
  for await (const { event } of log.readStream(streams.settings, -1)) if (event.type === 'RegistryCreated') return (event as Event<FactOf<typeof RegistryCreated>>).data.registry
  throw new Error('the log has no registry')
}

/** Runs the server until it is told to end, and then finishes what is under way. */
async function serve(config: Config): Promise<void> {
  const logger = createLogger({ level: config.logLevel })
  const metrics = createMetrics()
  const told = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
  })
  const opened = await open(config, logger, true, metrics)
  const { log, blobs, sealer, pool } = opened
  const boot = randomUUID()
  const admin = { password: config.adminPassword, makePassword: makeSecret, makeVerifier: makeArgon2Verifier }
  const password = await bootstrap(log, sealer, boot, admin)
  // What requests write through it are sessions of uploads and browsers, which a crash may take.
  const options = '-c synchronous_commit=off'
  const queryPool = createPool({ ...opened.connection, max: 12, application_name: 'varve requests', query_timeout: PATIENCE_MS, options })
  const readModels = await startReadModels({ pool, queryPool, log, reads: opened.reads, logger })
  const head = await log.head()
  // What was answered 201 before a crash must be there before anybody asks for it.
  if (head !== undefined) while (!(await readModels.visible(head, AbortSignal.timeout(PATIENCE_MS))) && readModels.failure() === undefined) logger.info('the read models catch up')
  if (readModels.failure() !== undefined) throw new Error('the read models cannot be folded', { cause: readModels.failure() })
  const recorder = await startPullRecorder({
    log,
    boot,
    release,
    now: Date.now,
    maxPullsPerEvent: config.pullsPerEvent ?? Infinity,
    timeoutMs: PATIENCE_MS,
  })
  const access = createAccessRecorder({ log, boot, now: Date.now, timeoutMs: PATIENCE_MS })
  const uploads = await openUploadSessions(queryPool)
  const { identity, decisionRows, queries } = readModels
  const handle = createHandler(log)
  const now = (): Date => new Date()
  const settings = createSettings(identity, sealer)
  // A port that the system gives is known once it listens.
  const published = { url: config.publicUrl ?? '' }
  const urlOf = (): string => published.url
  const visible = async (position: Position, signal = AbortSignal.timeout(PATIENCE_MS)): Promise<boolean> => {
    const isVisible = await readModels.visible(position, signal)
    if (!isVisible) logger.error({ position }, 'the catalogue is behind by more than a request waits for')
    return isVisible
  }
  const registry: Registry = {
    reader: readModels.reader,
    identity,
    queries,
    decisionRows,
    handle,
    recorder,
    access,
    blobs,
    sessions: uploads,
    visible,
    sparse: config.sparse === 'accept',
    challenge: (needed, error) => bearerChallenge({ realm: `${urlOf()}/service/token`, service: SERVICE, needed, ...(error === undefined ? {} : { error }) }),
    settings,
    now,
    logger,
    metrics,
  }
  const addressOf = (request: RequestHead): string => clientAddress(request, config.trustedProxies).address
  const system = { actor: { kind: 'system', subject: boot }, now } as const
  let keyring = await currentKeyring({ identity, sealer, handle, visible }, system)
  const tokens = createTokens({ issuer: urlOf, audience: SERVICE, keyring, now: Date.now })
  const slots = createSlots({ most: passwordThreads(LIBUV_THREADS, availableParallelism()), mostWaiting: MOST_PASSWORDS_WAITING })
  const verifiers = createVerifiers({ secretKey: await verifierKey(queries, sealer), slots })
  const remembered = createCredentialMemory<Login & { readonly by: LoginWay }, CheckFailure>({ now: Date.now })
  readModels.onSubjectChanged((id) => {
    remembered.drop(id)
  })
  const users = createOutsideUsers({ identity, handle, decisionRows, visible, sealer, context: system })
  const ldap = createLdapLogin({ settings, identity, users, now: Date.now, logger })
  const outbound = createOutbound({ allowedNetworks: config.outboundNetworks, ...(await outboundAuthorities(config)) })
  const workloads = createWorkloadVerifier({ outbound })
  const logIn = createLogin({
    identity, sealer, verifiers, settings, outside: (name, secret) => ldap.logIn(name, secret), now,
    workload: async (robot, token) => (await workloads.verify(token, robot.workloads)).kind === 'workload',
    check: createCredentialCheck(remembered, createDelays({ now: Date.now })),
    known: (name, secret) => remembered.known(name, secret),
    upgrade: createPasswordUpgrade({ verifiers, sealer, handle, decisionRows, context: system, logger }),
  })
  const anonymous = createAnonymous(await registryId(log), now)
  const subjectOf = createSubjects({ identity, stillThere: (user) => ldap.stillThere(user), now })
  const authenticate = createAuthenticator({ logIn, tokens, anonymous, subjectOf })
  const identifying = { access, sealer, anonymous, addressOf, now }
  const { identify, introduce } = createIdentify({ ...identifying, authenticate })
  const { protocol, hostname } = new URL(config.publicUrl ?? (config.tls === undefined ? 'http://localhost' : 'https://localhost'))
  const secure = protocol === 'https:'
  if (!secure && !isLoopback(hostname)) logger.warn('clients come by plain http: whoever is on the way can read and take passwords, tokens and sessions')
  const sessionStore = await openSessionStore(queryPool)
  const sessions = createSessions({ store: sessionStore, secure })
  const withSessions = orBySession(authenticate, { sessions, subjectOf })
  const browser = createIdentify({ ...identifying, authenticate: withSessions })
  const visitor = createIdentify({ ...identifying, authenticate: bySessionAlone(withSessions) })
  const answer = createOciAnswerer({ registry, identify })
  for (const name of ['catalogue', 'trail'] as const) {
    const lag = async (): Promise<number> => {
      const [last, done] = [await log.head(), readModels.checkpoints()[name]]
      return last === undefined || done === undefined || comparePositions(last, done) <= 0 ? 0 : Number(positionNumber(last) - positionNumber(done))
    }
    metrics.watchLag(name, lag, config.log?.kind === 'eventstoredb' ? 'bytes' : 'events')
  }
  const readiness = (): string[] => [
    ...(readModels.failure() === undefined ? [] : ['a projection stopped: see the log']),
    ...(Math.abs(log.clockSkewMs()) > 5_000 ? ["this machine's clock and the log's are more than 5 s apart"] : []),
  ]
  const trail = createTrailReader({ pool, log, schema: readModels.schema, reached: () => readModels.checkpoints().trail })
  const volume: Management['volume'] = async () => {
    const { blocks, bavail, bsize } = await statfs(config.blobFolder)
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
  }
  const management: Management = {
    identity, queries, log, trail, access, decisionRows, handle, visible, sealer, verifiers, logIn, outbound, settings, release, publicUrl: urlOf, readiness, volume,
    directory: () => ldap.directory(), now, logger,
  }
  const server = await startHttpServer({
    listen: config.listen,
    tls: config.tls,
    handler: createApp({
      oci: createOciHandler(answer, logger),
      token: tokenRoutes({ registry, tokens, jwks: () => keyring.jwks(Date.now()), identify, introduce, logIn, subjectOf, addressOf }),
      management: managementRouter(routes, management, browser.identify),
      varve: managementRouter(varveRoutes, management, browser.identify),
      pages: pageRoutes({ management, signOn: createSignOn({ settings, outbound, publicUrl: urlOf }), users, sessions, secure, ...visitor, logIn, subjectOf, addressOf }),
      readiness, metrics, metricsToken: config.metricsToken, logger,
    }),
    direct: (connections) => createDirectConnections({ ...connections, answer, metrics, logger }),
    log: logger,
  })
  if (config.publicUrl === undefined) published.url = server.url
  const purge = async (): Promise<void> => {
    try {
      const before = new Date(Date.now() - UPLOAD_LIFETIME_MS)
      const purged = await blobs.purgeUploads(before)
      for (const id of await uploads.begunBefore(before)) if ((await blobs.uploadSize(id)) === undefined) await uploads.remove(id)
      await sessionStore.removeEndedBefore(now())
      if (purged > 0) logger.info({ purged }, 'abandoned uploads were purged')
    } catch (error) {
      logger.warn({ err: error }, 'abandoned uploads and sessions could not be purged; it is tried again')
    }
  }
  const purging = setInterval(() => void purge(), PURGE_INTERVAL_MS)
  const rotate = async (): Promise<void> => {
    try {
      keyring = await currentKeyring({ identity, sealer, handle, visible }, system)
      tokens.use(keyring)
    } catch (error) {
      logger.warn({ err: error }, 'the signing keys could not be looked at; it is tried again')
    }
  }
  const rotating = setInterval(() => void rotate(), ROTATION_INTERVAL_MS)

  if (password !== undefined) {
    process.stdout.write(`\n  The administrator is admin, with the password ${password}\n  It is shown this once; it is kept only as a hash.\n\n`)
  }
  process.stdout.write(`Varve ${release} serves ${config.publicUrl ?? server.url} from ${config.dataFolder}\n`)

  const signal = await told
  logger.info({ signal }, 'shutting down: finishing what is under way')
  clearInterval(purging)
  clearInterval(rotating)
  ldap.close()
  await server.close(SHUTDOWN_MS)
  await recorder.drain()
  await access.drain()
  await readModels.close()
  await queryPool.end()
  await opened.close()
}

process.exitCode = await runCli(process.argv.slice(2), {
  release,
  config: () => loadConfig(process.env),
  serve,
  open: (config) => open(config, createLogger({ level: 'warn' }), false),
  prepareServer: async (location, administrator, user) => prepareServer(await serverSettings(location), administrator, user),
})
await flushOutput()
// A client's connection that will not end, or a worker thread, must not keep an ended command alive.
process.exit()
