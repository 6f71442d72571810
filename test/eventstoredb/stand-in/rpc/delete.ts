import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { Served } from '../served.ts'
import { expectedNumber } from '../store/expected.ts'
import { callerOf } from './caller.ts'
import { DeleteResp, TombstoneResp } from './generated.ts'
import type { Streams } from './generated.ts'
import { decided } from './not-written.ts'
import { asStatus, invalidArgument, wrongRevisionOfDelete } from './refusals.ts'
import { expectedOf, streamNameOf } from './requests.ts'

type DeleteCall = ServerUnaryCall<Streams.DeleteReq, Streams.DeleteResp>
type TombstoneCall = ServerUnaryCall<Streams.TombstoneReq, Streams.TombstoneResp>

/** A deletion that the stream may come back from. */
export function deleteStream(server: Served, call: DeleteCall, answer: sendUnaryData<Streams.DeleteResp>): void {
  server.calls.count('delete')
  answerWith(answer, remove(server, call, false), (position) => {
    const place = new DeleteResp.Position()
    place.setCommitPosition(position)
    place.setPreparePosition(position)
    const response = new DeleteResp()
    response.setPosition(place)
    return response
  })
}

/** A deletion for good. */
export function tombstone(server: Served, call: TombstoneCall, answer: sendUnaryData<Streams.TombstoneResp>): void {
  server.calls.count('tombstone')
  answerWith(answer, remove(server, call, true), (position) => {
    const place = new TombstoneResp.Position()
    place.setCommitPosition(position)
    place.setPreparePosition(position)
    const response = new TombstoneResp()
    response.setPosition(place)
    return response
  })
}

function answerWith<R>(answer: sendUnaryData<R>, removed: Promise<bigint | undefined>, responseAt: (position: string) => R): void {
  removed.then(
    (position) => {
      if (position !== undefined) answer(null, responseAt(String(position)))
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
  const outcome = decided(await server.calls.write(forGood ? 'tombstone' : 'delete', write, callerOf(call)), stream)
  if (outcome?.kind === 'wrong-revision') throw wrongRevisionOfDelete(stream, expectedNumber(expected), outcome.current)
  return outcome?.position
}
