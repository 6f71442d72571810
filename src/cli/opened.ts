import type { Pool, PoolConfig } from 'pg'
import type { Config } from '../config.ts'
import type { Logger } from '../logger.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { EventLog } from '../ports/event-log.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { Reads } from '../projections/projection.ts'
import type { PrepareServer } from './eventstoredb.ts'

/** What a command works with, beside a running server or without one. */
export type Opened = {
  readonly config: Config
  readonly logger: Logger
  /** Where Postgres is, for a pool of one's own. */
  readonly connection: PoolConfig
  readonly pool: Pool
  /** `clockSkewMs`: the log's clock minus this machine's. */
  readonly log: EventLog & { clockSkewMs(): number }
  readonly blobs: BlobStore
  readonly sealer: Sealer
  readonly reads: Reads
  /** Whether a server may be at work on the same registry. */
  readonly serverRuns: boolean
  close(): Promise<void>
}

/** What main gives the commands. */
export type CliContext = {
  readonly release: string
  config(): Config
  serve(config: Config): Promise<void>
  open(config: Config): Promise<Opened>
  readonly prepareServer: PrepareServer
}

/** Makes a command's action of what works on the opened registry and answers an exit code. */
export type WithRegistry = <A extends unknown[]>(act: (opened: Opened, ...args: A) => Promise<number>) => (...args: A) => Promise<void>
