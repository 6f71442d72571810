/**
 * How long a request waits for the log, for Postgres and for the read models before it is answered 503: an election or a restart must
 * not break a docker push or pull.
 */
export const REQUEST_PATIENCE_MS = 10_000
