import { randomBytes, randomUUID, scryptSync, timingSafeEqual } from 'node:crypto'
import type { Log } from '../store/log.ts'
import type { ProposedEvent } from '../store/record.ts'
import { shownOf } from '../store/thinning.ts'

/** A user as the last event of the user's stream tells. */
export type User = {
  readonly name: string
  readonly fullName: string
  readonly groups: readonly string[]
  readonly disabled: boolean
  readonly salt: string
  readonly hash: string
  /** In units of 100 ns since 1970. */
  readonly updated: bigint
}

export const ADMINS = '$admins'
/** The users that a server has from the beginning, with one password. */
export const FIRST_USERS = [
  { name: 'admin', fullName: 'Event Store Administrator', groups: [ADMINS] },
  { name: 'ops', fullName: 'Event Store Operations', groups: ['$ops'] },
] as const
export const FIRST_PASSWORD = 'changeit'

export const userStream = (name: string): string => `$user-${name}`

export function findUser(log: Log, name: string): User | undefined {
  const shown = shownOf(log, userStream(name), Date.now())
  const event = shown.status === 'events' ? shown.events.at(-1) : undefined
  if (event === undefined) return undefined
  // What stands in these streams was written by `userEvent`.
  const plain = JSON.parse(Buffer.from(event.data).toString('utf8')) as Omit<User, 'name' | 'updated'> & { readonly loginName: string }
  const { loginName, fullName, groups, disabled, salt, hash } = plain
  return { name: loginName, fullName, groups, disabled, salt, hash, updated: event.created }
}

export type NewUser = Pick<User, 'name' | 'fullName' | 'groups' | 'disabled'>

type Secret = Pick<User, 'salt' | 'hash'>

/** The event that makes a user, or changes one, with a new password or the secret of the old one. */
export function userEvent(type: '$UserCreated' | '$UserUpdated', user: NewUser, password: string | Secret): ProposedEvent {
  const { name: loginName, fullName, groups, disabled } = user
  const { salt, hash } = typeof password === 'string' ? hashed(password, randomBytes(16).toString('base64')) : password
  const data = Buffer.from(JSON.stringify({ loginName, fullName, salt, hash, disabled, groups }))
  return { id: randomUUID(), type, json: true, data, metadata: new Uint8Array() }
}

/** Cheap on purpose: every call of a client brings its password. */
const COST = { N: 1024 }

function hashed(password: string, salt: string): Secret {
  return { salt, hash: scryptSync(password, salt, 32, COST).toString('base64') }
}

export function isPassword(user: User, password: string): boolean {
  return timingSafeEqual(Buffer.from(hashed(password, user.salt).hash), Buffer.from(user.hash))
}
