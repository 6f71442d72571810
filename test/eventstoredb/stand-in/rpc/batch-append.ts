import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { WriteResult } from '../calls.ts'
import type { Served } from '../served.ts'
import { NO_STREAM } from '../store/expected.ts'
import type { Expected } from '../store/expected.ts'
import { sizeInAppend } from '../store/record.ts'
import type { ProposedEvent } from '../store/record.ts'
import { callerOf } from './caller.ts'
import { streamIdentifier } from './answers.ts'
import { AllStreamPosition, BatchAppendResp, Code, GoogleEmpty } from './generated.ts'
import { AccessDenied, BadRequest, MaximumAppendSizeExceeded, StreamDeleted, Timeout, WrongExpectedVersion } from './generated.ts'
import type { Message, StatusCode, Streams } from './generated.ts'
import { readId } from './ids.ts'
import { MAX_APPEND_BYTES } from './limits.ts'
import { notWritten } from './not-written.ts'
import { Refusal, asStatus } from './refusals.ts'
import { appendedStream, expectedOfBatch, proposedOf, streamNameOf } from './requests.ts'
import { statusMessage } from './status-message.ts'

type Call = ServerDuplexStream<Streams.BatchAppendReq, Streams.BatchAppendResp>
type Content = Pick<Streams.BatchAppendResp, 'setSuccess' | 'setError'>

/** An append of which the last message is still to come. */
type Open = {
  readonly stream: string
  readonly expected: Expected
  readonly deadlineMs: number
  readonly events: ProposedEvent[]
  sizeBytes: number
}

/** The batch call: appends to any streams, told apart by the ids that the client gave them, in one call that stays open. */
export function batchAppend(server: Served, call: Call): void {
  server.calls.count('batchAppend')
  const open = new Map<string, Open>()
  let pending = 0
  let ended = false

  function endWhenDone(): void {
    if (ended && pending === 0) call.end()
  }

  function send(request: Streams.BatchAppendReq, stream: string, fill: (response: Content) => void): void {
    const response = new BatchAppendResp()
    response.setCorrelationId(request.getCorrelationId())
    response.setStreamIdentifier(streamIdentifier(stream))
    fill(response)
    if (!call.cancelled) call.write(response)
  }

  async function take(request: Streams.BatchAppendReq): Promise<void> {
    const correlation = readId(request.getCorrelationId())
    const options = request.getOptions()
    if (options !== undefined) {
      const deadlineMs = options.getDeadline()?.toDate().getTime() ?? Infinity
      const stream = appendedStream(options.getStreamIdentifier())
      if (!server.access.allows(server.access.identify(call.metadata), 'write', stream)) {
        send(request, stream, denied)
        return
      }
      if (deadlineMs <= Date.now()) {
        send(request, stream, timedOut)
        return
      }
      open.set(correlation, { stream, expected: expectedOfBatch(options), deadlineMs, events: [], sizeBytes: 0 })
    }
    const append = open.get(correlation)
    if (append === undefined) return
    for (const message of request.getProposedMessagesList()) {
      const event = proposedOf(message)
      append.sizeBytes += sizeInAppend(event)
      append.events.push(event)
    }
    if (append.sizeBytes > MAX_APPEND_BYTES) {
      open.delete(correlation)
      send(request, append.stream, tooLarge)
      return
    }
    if (!request.getIsFinal()) return
    open.delete(correlation)
    const { stream, expected, events, deadlineMs } = append
    const write = { kind: 'append', stream, expected, events } as const
    const result = await server.calls.write('batchAppend', write, callerOf(call, deadlineMs))
    // Of a server that ends, what comes now hears nothing until the whole call is ended.
    if (result.kind === 'lost' || result.kind === 'ending') return
    if (result.kind === 'not-leader' && result.leader !== undefined) throw notWritten(result)
    send(request, stream, (response) => {
      tell(response, result, stream, expected)
    })
  }

  call.on('data', (request: Streams.BatchAppendReq) => {
    pending += 1
    take(request)
      .catch((error: unknown) => {
        if (error instanceof Refusal || !(error instanceof Error)) call.emit('error', asStatus(error))
        else send(request, streamNameOf(request.getOptions()?.getStreamIdentifier()), badRequest(error.message))
      })
      .finally(() => {
        pending -= 1
        endWhenDone()
      })
  })
  call.on('end', () => {
    ended = true
    endWhenDone()
  })
}

type Told = Exclude<WriteResult, { kind: 'lost' | 'ending' }>

function tell(response: Content, result: Told, stream: string, expected: Expected): void {
  switch (result.kind) {
    case 'done':
      succeed(response, result)
      break
    case 'wrong-revision':
      fail(response, Code.ALREADY_EXISTS, 'WrongExpectedVersion', wrongRevision(expected, result.current))
      break
    case 'deleted':
      fail(response, Code.NOT_FOUND, 'StreamDeleted', deleted(stream))
      break
    case 'not-ready':
      notTaken(response, 'Server Is Not Ready')
      break
    case 'not-leader':
      notTaken(response, 'No leader info available in response')
      break
    case 'interrupted':
    case 'abandoned':
      timedOut(response)
      break
  }
}

function succeed(response: Content, { revision, position }: { readonly revision: bigint; readonly position: bigint }): void {
  const success = new BatchAppendResp.Success()
  if (revision === NO_STREAM) success.setNoStream(new GoogleEmpty())
  else success.setCurrentRevision(String(revision))
  const place = new AllStreamPosition()
  place.setCommitPosition(String(position))
  place.setPreparePosition(String(position))
  success.setPosition(place)
  response.setSuccess(success)
}

/** The real server gives this without a code, so the client does not recognize it. */
function notTaken(response: Content, message: string): void {
  response.setError(statusMessage(Code.OK, message, new GoogleEmpty(), 'google.protobuf.Empty'))
}

function denied(response: Content): void {
  fail(response, Code.PERMISSION_DENIED, 'AccessDenied', { name: 'AccessDenied', message: new AccessDenied() })
}

function timedOut(response: Content): void {
  fail(response, Code.DEADLINE_EXCEEDED, 'Timeout', { name: 'Timeout', message: new Timeout() })
}

function tooLarge(response: Content): void {
  const details = new MaximumAppendSizeExceeded()
  details.setMaxappendsize(MAX_APPEND_BYTES)
  fail(response, Code.INVALID_ARGUMENT, 'MaximumAppendSizeExceeded', { name: 'MaximumAppendSizeExceeded', message: details })
}

function badRequest(message: string): (response: Content) => void {
  const details = new BadRequest()
  details.setMessage(message)
  return (response) => {
    fail(response, Code.INVALID_ARGUMENT, 'BadRequest', { name: 'BadRequest', message: details })
  }
}

function deleted(stream: string): Details {
  const message = new StreamDeleted()
  message.setStreamIdentifier(streamIdentifier(stream))
  return { name: 'StreamDeleted', message }
}

function wrongRevision(expected: Expected, current: bigint): Details {
  const message = new WrongExpectedVersion()
  if (expected.kind === 'any') message.setExpectedAny(new GoogleEmpty())
  else if (expected.kind === 'exists') message.setExpectedStreamExists(new GoogleEmpty())
  else if (expected.revision === NO_STREAM) message.setExpectedNoStream(new GoogleEmpty())
  else message.setExpectedStreamPosition(String(expected.revision))
  if (current === NO_STREAM) message.setCurrentNoStream(new GoogleEmpty())
  else message.setCurrentStreamRevision(String(current))
  return { name: 'WrongExpectedVersion', message }
}

type Details = { readonly name: string; readonly message: Message }

function fail(response: Content, code: StatusCode, message: string, details: Details): void {
  response.setError(statusMessage(code, message, details.message, `event_store.client.${details.name}`))
}
