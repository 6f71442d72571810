/** The real server's default for a whole append, in bytes. */
export const MAX_APPEND_BYTES = 1_048_576

export const MAX_REVISION = 9_223_372_036_854_775_807n
