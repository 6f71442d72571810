import { parseAcl } from '../store/metadata.ts'
import type { Acl } from '../store/metadata.ts'
import type { Log } from '../store/log.ts'
import { isMetadataStream, streamOfMetadata } from '../store/record.ts'
import { shownOf } from '../store/thinning.ts'
import { ADMINS } from './users.ts'

export type Action = 'read' | 'write' | 'delete'

/** Who calls. `anybody`: the server asks nobody who they are, and lets them do everything. */
export type Identity =
  | { readonly kind: 'anybody' }
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user'; readonly name: string; readonly groups: readonly string[] }

export const ALL_STREAM = '$all'
/** In a list of who may: everybody who has a name. */
const EVERYBODY = '$all'
const SETTINGS_STREAM = '$settings'

/** Where neither a stream nor the settings say who may do something. */
const USER_STREAMS = [EVERYBODY]
const SYSTEM_STREAMS = [ADMINS]

export const isAdmin = (identity: Identity): boolean =>
  identity.kind === 'anybody' || (identity.kind === 'user' && (identity.name === 'admin' || identity.groups.includes(ADMINS)))

/**
 * Whether somebody may do something with a stream: who may, says its metadata, else the last event in `$settings`, else whether it is one
 * of the system's. Those who administrate may do everything that can be done, those without a name nothing.
 */
export function mayDo(log: Log, identity: Identity, action: Action, stream: string): boolean {
  if (identity.kind === 'anybody') return true
  if (identity.kind === 'anonymous') return false
  if (stream === ALL_STREAM && action !== 'read') return false
  const right = rightOf(action, stream)
  if (right === undefined) return false
  if (isAdmin(identity)) return true
  const subject = isMetadataStream(stream) ? streamOfMetadata(stream) : stream
  const isSystem = subject.startsWith('$')
  const roles = log.metadata(subject).acl?.[right] ?? settingsOf(log, isSystem)?.[right] ?? (isSystem ? SYSTEM_STREAMS : USER_STREAMS)
  return roles.some((role) => role === EVERYBODY || role === identity.name || identity.groups.includes(role))
}

/** Metadata cannot be deleted. */
function rightOf(action: Action, stream: string): keyof Acl | undefined {
  if (!isMetadataStream(stream)) return action
  if (action === 'delete') return undefined
  return action === 'read' ? 'metadataRead' : 'metadataWrite'
}

function settingsOf(log: Log, isSystem: boolean): Acl | undefined {
  const shown = shownOf(log, SETTINGS_STREAM, Date.now())
  const event = shown.status === 'events' ? shown.events.at(-1) : undefined
  if (event === undefined) return undefined
  try {
    const settings = JSON.parse(Buffer.from(event.data).toString('utf8')) as Readonly<Record<string, unknown>>
    return parseAcl(settings[isSystem ? '$systemStreamAcl' : '$userStreamAcl'])
  } catch {
    // Settings that are no JSON say nothing.
    return undefined
  }
}
