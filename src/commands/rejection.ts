/** A command that cannot be done, by no fault of the registry. */
export type Rejection = {
  readonly refused: true
  readonly code: 'INVALID' | 'NOT_FOUND' | 'CONFLICT' | 'PRECONDITION'
  readonly message: string
}

export function reject(code: Rejection['code'], message: string): Rejection {
  return { refused: true, code, message }
}
