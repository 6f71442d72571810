import type { AlarmFact } from '../commands/alarm/events.ts'
import type { ActivityFact } from '../commands/activity/events.ts'
import type { GroupFact } from '../commands/group/events.ts'
import type { KeysFact } from '../commands/keys/events.ts'
import type { LogFact } from '../commands/log/events.ts'
import type { ProjectFact, ProjectsFact } from '../commands/project/events.ts'
import type { RepositoryFact } from '../commands/repository/events.ts'
import type { RobotFact, RobotsFact } from '../commands/robot/events.ts'
import type { SettingsFact } from '../commands/settings/events.ts'
import type { UploadFact } from '../commands/upload/events.ts'
import type { UserFact, UsersFact } from '../commands/user/events.ts'
import type { Event } from '../ports/event.ts'

/** Who there is and who may do what. */
export type IdentityFact = SettingsFact | KeysFact | UsersFact | UserFact | GroupFact | RobotsFact | RobotFact | ProjectsFact | ProjectFact
/** What there is. */
export type ContentFact = UploadFact | RepositoryFact
/** What befell the log itself. */
export type LogsFact = LogFact | AlarmFact
export type StateFact = LogsFact | IdentityFact | ContentFact

const ACTIVITY: ReadonlySet<string> = new Set<ActivityFact['type']>(['ProcessStarted', 'PullsRecorded', 'AccessRecorded'])
const CONTENT: ReadonlySet<string> = new Set<ContentFact['type']>([
  'BlobUploaded', 'BlobMounted', 'RepositoryCreated', 'ManifestPushed', 'TagAssigned', 'TagDeleted', 'ManifestDeleted', 'BlobDeleted',
])

/** An event of the state lane as the union of all that it can be: the log's codec has checked type and data against their schema. */
export function stateFact(event: Event): StateFact {
  if (ACTIVITY.has(event.type)) throw new Error(`${event.type} does not stand in the state lane`)
  return event as Event<StateFact>
}

export function isActivity(event: Event): event is Event<ActivityFact> {
  return ACTIVITY.has(event.type)
}

export function isContent(fact: StateFact): fact is ContentFact {
  return CONTENT.has(fact.type)
}

export function isIdentity(fact: StateFact): fact is IdentityFact {
  return !isContent(fact) && fact.type !== 'LogNamed' && fact.type !== 'TamperingFound'
}

/** The id in the name of a stream that is one thing's own: `user-<id>`, `project-<id>`. */
export function idOfStream(stream: string): string {
  return stream.slice(stream.indexOf('-') + 1)
}
