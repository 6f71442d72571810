import type { Logger } from 'pino'
import type { Access } from '../identity/tokens/scope.ts'
import type { Metrics } from './metrics.ts'
import type { SettingsReader } from './settings.ts'
import type { AccessRecorder } from '../commands/activity/record-access.ts'
import type { PullRecorder } from '../commands/activity/record.ts'
import type { Handle } from '../commands/handle.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { DecisionRows } from '../ports/decision-rows.ts'
import type { Position } from '../ports/position.ts'
import type { UploadSessions } from '../ports/upload-sessions.ts'
import type { CatalogueQueries } from '../projections/catalogue-queries.ts'
import type { CatalogueReader } from '../projections/catalogue-reader.ts'
import type { IdentityQueries } from '../projections/identity-queries.ts'
import type { IdentityReader } from '../projections/identity-reader.ts'

/** What the doors of /v2 work with. */
export type Registry = {
  readonly reader: CatalogueReader
  readonly identity: IdentityReader
  readonly queries: () => CatalogueQueries & IdentityQueries
  readonly decisionRows: DecisionRows
  readonly handle: Handle
  readonly recorder: PullRecorder
  readonly access: AccessRecorder
  readonly blobs: BlobStore
  readonly sessions: UploadSessions
  /** Waits until a position can be read; false where the signal aborts before, without one where that takes longer than a request waits. */
  readonly visible: (position: Position, signal?: AbortSignal) => Promise<boolean>
  /** Whether a manifest may name what is not here. */
  readonly sparse: boolean
  /** The value of WWW-Authenticate that says where a token is to be had, and for what. */
  readonly challenge: (needed: readonly Access[], error?: 'insufficient_scope' | 'invalid_token') => string
  readonly settings: SettingsReader
  readonly now: () => Date
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'pulled' | 'pushed'>
}
