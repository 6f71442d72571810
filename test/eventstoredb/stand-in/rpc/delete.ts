import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { Served } from '../served.ts'
import { expectedNumber } from '../store/expected.ts'
import { callerOf } from './caller.ts'
import { DeleteResp, TombstoneResp } from './generated.ts'
import type { Streams } from './generated.ts'
import { notWritten } from './not-written.ts'
import { asStatus, invalidArgument, streamDeleted, wrongRevisionOfDelete } from './refusals.ts'
import { expectedOf, streamNameOf } from './requests.ts'

type DeleteCall = ServerUnaryCall<Streams.DeleteReq, Streams.DeleteResp>
type TombstoneCall = ServerUnaryCall<Streams.TombstoneReq, Streams.TombstoneResp>

/** A deletion that the stream may come back from. */
export function deleteStream(server: Served, call: DeleteCall, answer: sendUnaryData<Streams.DeleteResp>): void {
  server.calls.count('delete')
  remove(server, call, false).then(
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
export function tombstone(server: Served, call: TombstoneCall, answer: sendUnaryData<Streams.TombstoneResp>): void {
  server.calls.count('tombstone')
  remove(server, call, true).then(
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
async function remove(server: Served, call: DeleteCall | TombstoneCall, forGood: boolean): Promise<bigint | undefined> {
  const options = call.request.getOptions()
  if (options === undefined) throw invalidArgument('no options')
  const stream = streamNameOf(options.getStreamIdentifier())
  server.access.demand(call.metadata, 'delete', stream)
  const expected = expectedOf(options)
  const write = { kind: 'delete', stream, expected, forGood } as const
  const result = await server.calls.write(forGood ? 'tombstone' : 'delete', write, callerOf(call))
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
