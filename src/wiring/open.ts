import { mkdir, statfs } from 'node:fs/promises'
import type { ClientConfig } from 'pg'
import { createMetrics } from '../api/metrics.ts'
import type { Opened } from '../cli/opened.ts'
import { reserveBytes } from '../config.ts'
import type { Config } from '../config.ts'
import type { Logger } from '../logger.ts'
import { isRefusal } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { PrivatePart, Reads } from '../projections/projection.ts'
import { prepareRegister } from '../projections/read-models.ts'
import { openFileBlobStore } from '../storage/blobs/file.ts'
import { cachingBlobStore } from '../storage/blobs/memory-cache.ts'
import { loadMasterKey, openFileKeyStore } from '../storage/keys/file.ts'
import { createSealer } from '../storage/keys/sealer.ts'
import { connectToRunning, startEmbeddedPostgres } from '../storage/postgres/embedded.ts'
import { createPool } from '../storage/postgres/pool.ts'
import { takeServerLock } from '../storage/postgres/server-lock.ts'
import { openLog } from './log.ts'

/** A server that was killed is still seen by its Postgres for a moment. */
const LOCK_PATIENCE_MS = 2_000

/** Opens what every command works with. What was opened is closed in the reverse order, also where a later one fails to open. */
export async function open(config: Config, logger: Logger, server: boolean, metrics = createMetrics()): Promise<Opened> {
  await using closing = new AsyncDisposableStack()
  await mkdir(config.dataFolder, { recursive: true, mode: 0o700 })
  await mkdir(config.blobFolder, { recursive: true, mode: 0o700 })
  const postgres = await openPostgres(config, logger, server)
  closing.defer(() => postgres.stop())
  const pool = createPool({ ...postgres.connection, max: 6, application_name: 'varve', pipeline: true })
  closing.defer(() => pool.end())
  const log = await openLog(config, postgres.connection, logger, metrics)
  closing.defer(() => log.close())
  const keys = await openFileKeyStore({ folder: config.blobFolder, masterKey: await loadMasterKey(config.masterKeyFile) })
  const { blocks, bsize } = await statfs(config.blobFolder)
  const files = await openFileBlobStore({ folder: config.blobFolder, minFreeBytes: reserveBytes(config.minFree, blocks * bsize) })
  // A command reads each blob once.
  const blobs = server ? cachingBlobStore(files, { maxBytes: config.cacheBytes }) : files
  const sealer = createSealer(keys)
  await prepareRegister(pool)
  const { connection, serverRuns } = postgres
  const reads = readsOf(blobs, sealer, logger)
  const opened = closing.move()
  return { config, logger, connection, pool, log, blobs, sealer, reads, serverRuns, close: () => opened.disposeAsync() }
}

type OpenedPostgres = { readonly connection: ClientConfig; readonly serverRuns: boolean; stop(): Promise<void> }

/** Where Postgres is: the one of the configuration, the data folder's own that a server runs, or the data folder's own, started here. */
async function openPostgres(config: Config, logger: Logger, server: boolean): Promise<OpenedPostgres> {
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
