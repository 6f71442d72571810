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
  /** Rejects where the key is taken: it is of a random id. */
  create(key: string, session: SessionRecord): Promise<void>
  /** As it was created, also where its time is over; undefined where it was removed or lost. */
  get(key: string): Promise<SessionRecord | undefined>
  /** Durable when it answers, or a crash would undo a log-out; nothing to do where there is none. */
  remove(key: string): Promise<void>
  /** Those whose `endsAt` is before a time. */
  removeEndedBefore(time: Date): Promise<void>
}
