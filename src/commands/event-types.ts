import type { EventKind } from '../ports/event.ts'
import { ProcessStarted, PullsRecorded } from './activity/events.ts'
import { LogNamed } from './log/events.ts'
import { ProjectCreated } from './project/events.ts'
import { repositoryEvents } from './repository/events.ts'
import { RegistryCreated } from './settings/events.ts'
import { BlobMounted, BlobUploaded } from './upload/events.ts'
import { UserCreated } from './user/events.ts'

/** Every event type that this release writes or reads. */
export const eventTypes: readonly EventKind[] = [
  LogNamed,
  RegistryCreated,
  UserCreated,
  ProjectCreated,
  BlobUploaded,
  BlobMounted,
  ...repositoryEvents,
  ProcessStarted,
  PullsRecorded,
]
