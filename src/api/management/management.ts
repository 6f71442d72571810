import type { AccessRecorder } from '../../commands/activity/record-access.ts'
import type { Handle } from '../../commands/handle.ts'
import type { AccessQueries } from '../../projections/access-queries.ts'
import type { EventLog } from '../../ports/event-log.ts'
import type { DecisionRows } from '../../ports/decision-rows.ts'
import type { Sealer } from '../../ports/key-store.ts'
import type { CatalogueQueries } from '../../projections/catalogue-queries.ts'
import type { IdentityQueries } from '../../projections/identity-queries.ts'
import type { IdentityReader } from '../../projections/identity-reader.ts'
import type { PeopleQueries } from '../../projections/people-queries.ts'
import type { ProjectQueries } from '../../projections/project-queries.ts'
import type { TrailReader } from '../../projections/trail-reader.ts'
import type { LdapDirectory } from '../../identity/ldap/directory.ts'
import type { Delays } from '../../identity/passwords/delays.ts'
import type { Verifiers } from '../../identity/passwords/verifiers.ts'
import type { Outbound } from '../../outbound/client.ts'
import type { Readiness } from '../health/health.ts'
import type { LogIn } from '../login.ts'
import type { Registry } from '../registry.ts'
import type { ServerLog } from '../server-log.ts'
import type { SettingsReader } from '../settings.ts'

/** What the doors of `/api` work with. */
export type Management = {
  readonly identity: IdentityReader
  readonly queries: () => CatalogueQueries & IdentityQueries & PeopleQueries & ProjectQueries & AccessQueries
  readonly log: Pick<EventLog, 'head' | 'resolve' | 'readAll'>
  readonly decisionRows: DecisionRows
  readonly handle: Handle
  readonly trail: TrailReader
  readonly access: Pick<AccessRecorder, 'record' | 'refuse'>
  readonly visible: Registry['visible']
  readonly sealer: Sealer
  readonly verifiers: Verifiers
  readonly logIn: LogIn
  /** Counts who registers themselves, by network. */
  readonly registrations: Pick<Delays, 'begin'>
  readonly outbound: Outbound
  readonly settings: SettingsReader
  readonly readiness: Readiness
  /** Undefined where people do not log in at one. */
  readonly directory: () => Promise<LdapDirectory | undefined>
  /** The disk that blobs stand on. */
  readonly volume: () => Promise<{ readonly totalBytes: number; readonly freeBytes: number }>
  readonly release: string
  readonly publicUrl: () => string
  readonly now: () => Date
  readonly logger: Pick<ServerLog, 'warn' | 'error'>
}

