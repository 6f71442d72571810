export type SessionRecord = {
  /** Whose it is: the random id of a user. */
  readonly subject: string
  readonly begunAt: Date
  readonly endsAt: Date
}

/** Open sessions of browsers, by the SHA-256 (hex) of their ids: operational state, which may be lost (people log in anew). */
export interface SessionStore {
  create(key: string, session: SessionRecord): Promise<void>
  get(key: string): Promise<SessionRecord | undefined>
  remove(key: string): Promise<void>
  /** Ends all of somebody's: deleted, or with a new password. */
  removeAllOf(subject: string): Promise<void>
  removeEndedBefore(time: Date): Promise<void>
}
