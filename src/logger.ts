import type { DestinationStream, Logger } from 'pino'
import { destination as openDestination, pino, stdTimeFunctions } from 'pino'
import type { LogLevel } from './config.ts'

export type { Logger } from 'pino'

export type LoggerOptions = {
  readonly level: LogLevel
  /** Where the lines go: standard error, unless a test wants to see them. */
  readonly destination?: DestinationStream
}

/** Names under which requests, tokens and settings carry what nobody may read in a log; whole objects are logged with care anyway. */
const SECRETS = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'password', 'secret', 'token', 'access_token', 'refresh_token']

const SECRET_PATHS = SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.headers["${name}"]`])

/** Looked for from `://` on: from the scheme on, each letter of a long text would be the start of a search to its end. */
function withoutPasswords(text: string): string {
  return text.replace(/:\/\/[^\s/@]+@/g, '://[redacted]@')
}

type LoggedError = {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: unknown
  readonly errors?: readonly unknown[]
}

/**
 * What is shown of an error. Its other properties are not: those of a Postgres error hold values of the row it is about, which may be
 * a person's name.
 */
function showError(error: unknown, depth = 0): unknown {
  if (typeof error !== 'object' || error === null || !('message' in error)) return typeof error === 'string' ? withoutPasswords(error) : error
  const shown: LoggedError = {
    type: 'name' in error ? String(error.name) : 'Error',
    message: withoutPasswords(String(error.message)),
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...('stack' in error && typeof error.stack === 'string' ? { stack: withoutPasswords(error.stack) } : {}),
    ...('cause' in error && error.cause !== undefined && depth < 5 ? { cause: showError(error.cause, depth + 1) } : {}),
    ...('errors' in error && Array.isArray(error.errors) && depth < 5
      ? { errors: error.errors.slice(0, 10).map((inner: unknown) => showError(inner, depth + 1)) }
      : {}),
  }
  return shown
}

/** Writes one JSON object a line to standard error. Log an error as `log.error({ err: error }, 'what could not be done')`. */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      // The process and the machine are known to whoever collects the lines.
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => showError(error), error: (error: unknown) => showError(error) },
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    },
    // Written at once: the last lines before a crash are those that somebody will look for.
    destination ?? openDestination({ dest: 2, sync: true }),
  )
}
