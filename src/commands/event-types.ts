import type { EventKind } from '../ports/event.ts'
import { TamperingFound } from './alarm/events.ts'
import { AccessRecorded, ProcessStarted, PullsRecorded } from './activity/events.ts'
import { LogNamed } from './log/events.ts'
import { groupEvents } from './group/events.ts'
import { keysEvents } from './keys/events.ts'
import { projectEvents, projectsEvents } from './project/events.ts'
import { repositoryEvents } from './repository/events.ts'
import { robotEvents, robotsEvents } from './robot/events.ts'
import { settingsEvents } from './settings/events.ts'
import { BlobMounted, BlobUploaded } from './upload/events.ts'
import { userEvents, usersEvents } from './user/events.ts'

/** Every event type that this release writes or reads. */
export const eventTypes: readonly EventKind[] = [
  LogNamed,
  TamperingFound,
  ...settingsEvents,
  ...keysEvents,
  ...usersEvents,
  ...userEvents,
  ...groupEvents,
  ...robotsEvents,
  ...robotEvents,
  ...projectsEvents,
  ...projectEvents,
  BlobUploaded,
  BlobMounted,
  ...repositoryEvents,
  ProcessStarted,
  PullsRecorded,
  AccessRecorded,
]
