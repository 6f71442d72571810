import { describe, expect, it } from '@jest/globals'
import { AccessDeniedError, DeadlineExceededError, StreamDeletedError, TimeoutError, UnavailableError, UnknownError, WrongExpectedVersionError } from '@eventstore/db-client'
import { EndedError, NoAnswerError, NoNodeError, StalledError, verdictOn } from '../../../../src/storage/events/eventstoredb/verdict.ts'
import type { Reason } from '../../../../src/storage/events/eventstoredb/verdict.ts'

/** An error of the client's own classes, with the text that a real server's had. */
const told = <E extends Error>(error: E, message: string): E => Object.assign(error, { message })

describe('what an error of the client means', () => {
  it.each<[Error, Reason]>([
    [told(new UnavailableError(), '14 UNAVAILABLE: read ECONNRESET'), 'unavailable'],
    [told(new UnavailableError(), '14 UNAVAILABLE: Connection dropped'), 'unavailable'],
    [told(new UnavailableError(), '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:2113.'), 'unavailable'],
    [told(new UnavailableError(), '14 UNAVAILABLE: Server Is Not Ready'), 'unavailable'],
    [new Error('14 UNAVAILABLE: No connection established. Last error: Protocol error.'), 'unavailable'],
    [told(new UnknownError(), 'Could not recognize Server Is Not Ready'), 'not ready'],
    [told(new UnknownError(), 'Could not recognize Server Is Too Busy'), 'not ready'],
    [told(new UnknownError(), '2 UNKNOWN: No leader info available in response'), 'no leader'],
    [told(new UnknownError(), '13 INTERNAL: Received RST_STREAM with code 0 (Call ended without gRPC status)'), 'ended'],
    [told(new DeadlineExceededError(), '4 DEADLINE_EXCEEDED: Deadline exceeded after 3.001s'), 'no answer'],
    [told(new TimeoutError(), '10 ABORTED: Operation timed out: Request canceled by server'), 'ended'],
    [new NoNodeError('no node knows who leads'), 'no node'],
    [new NoAnswerError('no answer in 3000 ms'), 'no answer'],
    [new StalledError('nothing'), 'stalled'],
    [new EndedError('ended'), 'ended'],
  ])('%s: try again', (error, reason) => {
    expect(verdictOn(error)).toEqual({ kind: 'again', reason })
  })

  it('names the leader that a node that does not lead has named', () => {
    const error = Object.assign(new Error('9 FAILED_PRECONDITION: Leader info available'), { type: 'not-leader', leader: { address: 'n2', port: 2113 } })
    expect(verdictOn(error)).toEqual({ kind: 'again', reason: 'not leader', leader: { address: 'n2', port: 2113 } })
    expect(verdictOn(Object.assign(new Error(''), { type: 'not-leader' }))).toEqual({ kind: 'again', reason: 'not leader' })
  })

  it('says where a stream stands', () => {
    const conflict = (current: bigint | 'no_stream') => new WrongExpectedVersionError(undefined, { streamName: 's', current, expected: 0n })
    expect(verdictOn(conflict(7n))).toEqual({ kind: 'conflict', actual: 7 })
    expect(verdictOn(conflict('no_stream'))).toEqual({ kind: 'conflict', actual: -1 })
  })

  it.each([
    [told(new AccessDeniedError(), '7 PERMISSION_DENIED: Access Denied')],
    // What the server decided is not to be taken for a passing state, whatever its text says.
    [told(new AccessDeniedError(), '14 UNAVAILABLE in a text')],
    [told(StreamDeletedError.fromStreamName('s'), "9 FAILED_PRECONDITION: Event stream 's' is deleted.")],
    [told(new UnknownError(), 'Could not recognize BadRequest')],
    [told(new UnknownError(), '2 UNKNOWN: Exception was thrown by handler.')],
    [told(new UnknownError(), '3 INVALID_ARGUMENT: Trying to read from an invalid position.')],
    [told(new UnknownError(), '2 UNKNOWN: Unexpected ReadAllResult: InvalidPosition')],
    [new TypeError('undefined is not iterable')],
    ['no error at all'],
  ])('%s: not to be repeated', (error) => {
    expect(verdictOn(error)).toEqual({ kind: 'final' })
  })
})
