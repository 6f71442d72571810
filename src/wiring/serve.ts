import { randomUUID } from 'node:crypto'
import { createMetrics } from '../api/metrics.ts'
import { bootstrap } from '../commands/bootstrap.ts'
import type { Config } from '../config.ts'
import { makeSecret } from '../identity/passwords/made-secret.ts'
import { makeArgon2Verifier } from '../identity/passwords/schemes.ts'
import { createLogger } from '../logger.ts'
import { openDoors } from './doors.ts'
import { startDuties } from './duties.ts'
import { createLogins } from './logins.ts'
import { open } from './open.ts'
import { startRegistry } from './registry.ts'
import { createRequesters } from './requesters.ts'
import { createTokenKeys } from './token-keys.ts'

const SHUTDOWN_MS = 15_000

/** Runs the server until it is told to end, and then finishes what is under way. What was started is closed too where a later part fails to start. */
export async function serve(config: Config, release: string): Promise<void> {
  const logger = createLogger({ level: config.logLevel })
  const metrics = createMetrics()
  const told = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
  })
  await using closing = new AsyncDisposableStack()
  const opened = await open(config, logger, true, metrics)
  closing.defer(() => opened.close())
  const boot = randomUUID()
  const admin = { password: config.adminPassword, makePassword: makeSecret, makeVerifier: makeArgon2Verifier }
  const { registry, password } = await bootstrap(opened.log, opened.sealer, boot, admin)
  // A port that the system gives is known once it listens.
  let url = config.publicUrl ?? ''
  const publicUrl = (): string => url
  const started = await startRegistry({ opened, boot, release, metrics, publicUrl })
  closing.defer(() => started.close())
  const system = { actor: { kind: 'system', subject: boot }, now: started.registry.now } as const
  const tokenKeys = await createTokenKeys(opened, started, system, publicUrl)
  const logins = await createLogins(opened, started, system)
  closing.defer(() => {
    logins.ldap.close()
  })
  const requesters = await createRequesters(opened, started, logins, tokenKeys.tokens, registry)
  const server = await openDoors({ opened, started, logins, tokenKeys, requesters, release, metrics, publicUrl })
  closing.defer(() => server.close(SHUTDOWN_MS))
  if (config.publicUrl === undefined) url = server.url
  const duties = startDuties({ opened, started, requesters, tokenKeys })
  closing.defer(() => {
    duties.stop()
  })

  if (password !== undefined) {
    const shownOnce = 'It is shown this once; it is kept only as a hash.'
    process.stdout.write(`\n  The administrator is admin, with the password ${password}\n  ${shownOnce}\n\n`)
  }
  process.stdout.write(`Varve ${release} serves ${url} from ${config.dataFolder}\n`)

  const signal = await told
  logger.info({ signal }, 'shutting down: finishing what is under way')
}
