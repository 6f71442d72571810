import type { ActivityFact } from '../commands/activity/events.ts'
import type { LogFact } from '../commands/log/events.ts'
import type { ProjectFact } from '../commands/project/events.ts'
import type { RepositoryFact } from '../commands/repository/events.ts'
import type { SettingsFact } from '../commands/settings/events.ts'
import type { UploadFact } from '../commands/upload/events.ts'
import type { UserFact } from '../commands/user/events.ts'
import type { Event } from '../ports/event.ts'

export type StateFact = LogFact | SettingsFact | UserFact | ProjectFact | UploadFact | RepositoryFact

const ACTIVITY: ReadonlySet<string> = new Set<ActivityFact['type']>(['ProcessStarted', 'PullsRecorded'])

/** An event of the state lane as the union of all that it can be: the log's codec has checked type and data against their schema. */
export function stateFact(event: Event): StateFact {
  if (ACTIVITY.has(event.type)) throw new Error(`${event.type} does not stand in the state lane`)
  return event as Event<StateFact>
}

export function isActivity(event: Event): event is Event<ActivityFact> {
  return ACTIVITY.has(event.type)
}
