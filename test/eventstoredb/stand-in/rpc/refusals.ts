import grpc from '@grpc/grpc-js'
import type { ServerErrorResponse } from '@grpc/grpc-js'

/** What a call ends with instead of its answer. `metadata` are the trailers that the client reads the kind of error from. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: grpc.status
  readonly trailers: Readonly<Record<string, string>>

  constructor(code: grpc.status, details: string, trailers: Readonly<Record<string, string>> = {}) {
    super(details)
    this.code = code
    this.trailers = trailers
  }
}

const { status } = grpc

export const notReady = (): Refusal => new Refusal(status.UNAVAILABLE, 'Server Is Not Ready')

export const noLeader = (): Refusal => new Refusal(status.UNKNOWN, 'No leader info available in response')

export const notLeader = (host: string, port: number): Refusal =>
  new Refusal(status.NOT_FOUND, 'Leader info available', {
    exception: 'not-leader',
    'leader-endpoint-host': host,
    'leader-endpoint-port': String(port),
  })

export const timedOut = (what: string): Refusal => new Refusal(status.ABORTED, `Operation timed out: ${what}`)

export const streamDeleted = (stream: string): Refusal =>
  new Refusal(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, { exception: 'stream-deleted', 'stream-name': stream })

export const wrongRevisionOfDelete = (stream: string, expected: bigint, actual: bigint): Refusal =>
  new Refusal(
    status.FAILED_PRECONDITION,
    `Delete failed due to WrongExpectedVersion. Stream: ${stream}, Expected version: ${expected}, Actual version: ${actual}`,
    { exception: 'wrong-expected-version', 'stream-name': stream, 'expected-version': String(expected), 'actual-version': String(actual) },
  )

export const appendTooLarge = (maximum: number): Refusal =>
  new Refusal(status.INVALID_ARGUMENT, `Maximum Append Size of ${maximum} Exceeded.`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(maximum),
  })

export const propertyMissing = (property: string): Refusal =>
  new Refusal(status.INVALID_ARGUMENT, `Required Metadata Property '${property}' is missing`, {
    exception: 'missing-required-metadata-property',
    'required-metadata-properties': 'type,content-type',
  })

/** For a subscription; a read is told otherwise. */
export const invalidPosition = (): Refusal => new Refusal(status.INVALID_ARGUMENT, 'Trying to read from an invalid position.')

export const unexpectedReadAll = (result: string): Refusal => new Refusal(status.UNKNOWN, `Unexpected ReadAllResult: ${result}`)

export const accessDenied = (): Refusal => new Refusal(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' })

/** The real server answers with this status of HTTP, and the client makes these words of it. */
export const unauthenticated = (): Refusal => new Refusal(status.UNAUTHENTICATED, 'Received HTTP status code 401')

export const userNotFound = (name: string): Refusal =>
  new Refusal(status.NOT_FOUND, `User '${name}' is not found.`, { exception: 'user-not-found', 'login-name': name })

export const userConflict = (name: string): Refusal =>
  new Refusal(status.FAILED_PRECONDITION, 'Conflict.', { exception: 'user-conflict', 'login-name': name })

export const invalidArgument = (details: string): Refusal => new Refusal(status.INVALID_ARGUMENT, details)

export const unimplemented = (what: string): Refusal => new Refusal(status.UNIMPLEMENTED, `The stand-in does not do this: ${what}`)

/** As a call is ended with. What is no refusal is told as the real server tells its own exceptions. */
export function asStatus(error: unknown): ServerErrorResponse {
  if (!(error instanceof Refusal)) return withStatus(status.UNKNOWN, 'Exception was thrown by handler.', {})
  return withStatus(error.code, error.message, error.trailers)
}

function withStatus(code: grpc.status, details: string, trailers: Readonly<Record<string, string>>): ServerErrorResponse {
  const metadata = new grpc.Metadata()
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value)
  return Object.assign(new Error(details), { code, details, metadata })
}
