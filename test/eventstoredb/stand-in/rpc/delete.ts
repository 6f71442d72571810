import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { Node } from '../node.ts'
import { writeTo } from '../node.ts'
import { expectedNumber } from '../store/expected.ts'
import { DeleteResp, TombstoneResp } from './generated.ts'
import type { Streams } from './generated.ts'
import { asStatus, invalidArgument, notReady, streamDeleted, timedOut, wrongRevisionOfDelete } from './refusals.ts'
import { expectedOf, streamNameOf } from './requests.ts'

type DeleteCall = ServerUnaryCall<Streams.DeleteReq, Streams.DeleteResp>
type TombstoneCall = ServerUnaryCall<Streams.TombstoneReq, Streams.TombstoneResp>

/** A deletion that the stream may come back from. */
export function deleteStream(node: Node, call: DeleteCall, answer: sendUnaryData<Streams.DeleteResp>): void {
  remove(node, call, false).then(
    (position) => {
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
export function tombstone(node: Node, call: TombstoneCall, answer: sendUnaryData<Streams.TombstoneResp>): void {
  remove(node, call, true).then(
    (position) => {
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

async function remove(node: Node, call: DeleteCall | TombstoneCall, forGood: boolean): Promise<bigint> {
  const options = call.request.getOptions()
  if (options === undefined) throw invalidArgument('no options')
  const stream = streamNameOf(options.getStreamIdentifier())
  const expected = expectedOf(options)
  const result = await writeTo(node, { kind: 'delete', stream, expected, forGood }, () => call.cancelled)
  switch (result.kind) {
    case 'done':
      return result.position
    case 'wrong-revision':
      throw wrongRevisionOfDelete(stream, expectedNumber(expected), result.current)
    case 'deleted':
      throw streamDeleted(stream)
    case 'not-ready':
      throw notReady()
    case 'interrupted':
      throw timedOut('Request canceled by server')
    case 'abandoned':
      throw timedOut('Request canceled by client')
  }
}
