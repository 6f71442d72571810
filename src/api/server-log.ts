/** The part of a pino logger that is used here. */
export type ServerLog = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
