import type { sendUnaryData, ServerReadableStream } from '@grpc/grpc-js'
import type { Served } from '../served.ts'
import { NO_STREAM } from '../store/expected.ts'
import type { Expected } from '../store/expected.ts'
import { sizeInAppend } from '../store/record.ts'
import type { ProposedEvent } from '../store/record.ts'
import { callerOf } from './caller.ts'
import { AppendResp, Empty } from './generated.ts'
import type { Streams } from './generated.ts'
import { MAX_APPEND_BYTES } from './limits.ts'
import { decided } from './not-written.ts'
import { appendTooLarge, asStatus, invalidArgument } from './refusals.ts'
import { appendedStream, expectedOf, proposedOf } from './requests.ts'

/**
 * For a stream that should not exist the real server says 2^64 - 1, in a field for old clients; the generated classes take no number
 * above this one.
 */
const LARGEST_NUMBER = 2 ** 64 - 2048

type Call = ServerReadableStream<Streams.AppendReq, Streams.AppendResp>

/** The older call: a stream's name and expected revision, then a message an event. */
export function append(server: Served, call: Call, answer: sendUnaryData<Streams.AppendResp>): void {
  server.calls.count('append')
  handle(server, call).then(
    (response) => {
      if (response !== undefined) answer(null, response)
    },
    (error: unknown) => {
      answer(asStatus(error))
    },
  )
}

async function handle(server: Served, call: Call): Promise<Streams.AppendResp | undefined> {
  const { stream, expected, events } = await readRequest(server, call)
  const result = await server.calls.write('append', { kind: 'append', stream, expected, events }, callerOf(call))
  const outcome = decided(result, stream)
  if (outcome === undefined) return undefined
  return outcome.kind === 'done' ? success(outcome) : wrongRevision(expected, outcome.current)
}

type Request = { readonly stream: string; readonly expected: Expected; readonly events: readonly ProposedEvent[] }

async function readRequest(server: Served, call: Call): Promise<Request> {
  const events: ProposedEvent[] = []
  let options: Streams.AppendReq.Options | undefined
  let sizeBytes = 0
  for await (const message of call as AsyncIterable<Streams.AppendReq>) {
    if (options === undefined) {
      options = message.getOptions()
      if (options === undefined) throw new Error('the first message of an append holds no options')
      server.access.demand(call.metadata, 'write', appendedStream(options.getStreamIdentifier()))
      continue
    }
    const proposed = message.getProposedMessage()
    if (proposed === undefined) throw new Error('a message of an append holds no event')
    const event = proposedOf(proposed)
    sizeBytes += sizeInAppend(event)
    if (sizeBytes > MAX_APPEND_BYTES) throw appendTooLarge(MAX_APPEND_BYTES)
    events.push(event)
  }
  if (options === undefined) throw invalidArgument('an append without a message')
  return { stream: appendedStream(options.getStreamIdentifier()), expected: expectedOf(options), events }
}

function success({ revision, position }: { readonly revision: bigint; readonly position: bigint }): Streams.AppendResp {
  const success = new AppendResp.Success()
  if (revision === NO_STREAM) success.setNoStream(new Empty())
  else success.setCurrentRevision(String(revision))
  const place = new AppendResp.Position()
  place.setCommitPosition(String(position))
  place.setPreparePosition(String(position))
  success.setPosition(place)
  const response = new AppendResp()
  response.setSuccess(success)
  return response
}

/** Each revision stands in it twice: also in the fields of servers before 20.6.1. */
function wrongRevision(expected: Expected, current: bigint): Streams.AppendResp {
  const wrong = new AppendResp.WrongExpectedVersion()
  if (expected.kind === 'any') {
    wrong.setExpectedAny(new Empty())
    wrong.setAny2060(new Empty())
  } else if (expected.kind === 'exists') {
    wrong.setExpectedStreamExists(new Empty())
    wrong.setStreamExists2060(new Empty())
  } else if (expected.revision === NO_STREAM) {
    wrong.setExpectedNoStream(new Empty())
    wrong.setExpectedRevision2060(LARGEST_NUMBER)
  } else {
    wrong.setExpectedRevision(String(expected.revision))
    wrong.setExpectedRevision2060(Number(expected.revision))
  }
  if (current === NO_STREAM) {
    wrong.setCurrentNoStream(new Empty())
    wrong.setNoStream2060(new Empty())
  } else {
    wrong.setCurrentRevision(String(current))
    wrong.setCurrentRevision2060(Number(current))
  }
  const response = new AppendResp()
  response.setWrongExpectedVersion(wrong)
  return response
}
