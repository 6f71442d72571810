export type SessionRecord = {
  /** The random id of the user whose it is. */
  readonly user: string
  /** What they logged in by: the event that set it. Where another one has set it anew, the session has ended. */
  readonly credential: string
  readonly begunAt: Date
  readonly endsAt: Date
}

/** Open sessions of browsers, by the SHA-256 (hex) of their ids: operational state, which may be lost (people log in anew). */
export interface SessionStore {
  create(key: string, session: SessionRecord): Promise<void>
  get(key: string): Promise<SessionRecord | undefined>
  remove(key: string): Promise<void>
  removeEndedBefore(time: Date): Promise<void>
}
