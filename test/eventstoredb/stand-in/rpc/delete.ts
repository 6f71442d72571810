import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { Calls } from '../calls.ts'
import { expectedNumber } from '../store/expected.ts'
import { DeleteResp, TombstoneResp } from './generated.ts'
import type { Streams } from './generated.ts'
import { notWritten } from './not-written.ts'
import { asStatus, invalidArgument, streamDeleted, wrongRevisionOfDelete } from './refusals.ts'
import { expectedOf, streamNameOf } from './requests.ts'

type DeleteCall = ServerUnaryCall<Streams.DeleteReq, Streams.DeleteResp>
type TombstoneCall = ServerUnaryCall<Streams.TombstoneReq, Streams.TombstoneResp>

/** A deletion that the stream may come back from. */
export function deleteStream(calls: Calls, call: DeleteCall, answer: sendUnaryData<Streams.DeleteResp>): void {
  calls.count('delete')
  remove(calls, call, false).then(
    (position) => {
      if (position === undefined) return
      const place = new DeleteResp.Position()
      place.setCommitPosition(String(position))
      place.setPreparePosition(String(position))
      const response = new DeleteResp()
      response.setPosition(place)
      answer(null, response)
    },
    (error: unknown) => {
      answer(asStatus(error))
    },
  )
}

/** A deletion for good. */
export function tombstone(calls: Calls, call: TombstoneCall, answer: sendUnaryData<Streams.TombstoneResp>): void {
  calls.count('tombstone')
  remove(calls, call, true).then(
    (position) => {
      if (position === undefined) return
      const place = new TombstoneResp.Position()
      place.setCommitPosition(String(position))
      place.setPreparePosition(String(position))
      const response = new TombstoneResp()
      response.setPosition(place)
      answer(null, response)
    },
    (error: unknown) => {
      answer(asStatus(error))
    },
  )
}

/** The position of what deletes; undefined: no answer. */
async function remove(calls: Calls, call: DeleteCall | TombstoneCall, forGood: boolean): Promise<bigint | undefined> {
  const options = call.request.getOptions()
  if (options === undefined) throw invalidArgument('no options')
  const stream = streamNameOf(options.getStreamIdentifier())
  const expected = expectedOf(options)
  const caller = { isGone: () => call.cancelled, peer: call.getPeer() }
  const result = await calls.write(forGood ? 'tombstone' : 'delete', { kind: 'delete', stream, expected, forGood }, caller)
  switch (result.kind) {
    case 'done':
      return result.position
    case 'wrong-revision':
      throw wrongRevisionOfDelete(stream, expectedNumber(expected), result.current)
    case 'deleted':
      throw streamDeleted(stream)
    case 'lost':
      return undefined
    case 'not-ready':
    case 'ending':
    case 'not-leader':
    case 'interrupted':
    case 'abandoned':
      throw notWritten(result)
  }
}
