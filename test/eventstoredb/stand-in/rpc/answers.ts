import { END_OF_STREAM } from '../store/record.ts'
import type { StoredEvent } from '../store/record.ts'
import { ReadResp, StreamIdentifier } from './generated.ts'
import type { Shared, Streams } from './generated.ts'
import { idMessage } from './ids.ts'

/** The two numbers of a position in `$all`. An event's are equal. */
export type Place = { readonly commit: bigint; readonly prepare: bigint }

export function compare(one: Place, other: Place): number {
  if (one.commit !== other.commit) return one.commit < other.commit ? -1 : 1
  if (one.prepare === other.prepare) return 0
  return one.prepare < other.prepare ? -1 : 1
}

export const placeOf = (position: bigint): Place => ({ commit: position, prepare: position })

export function streamIdentifier(name: string): Shared.StreamIdentifier {
  const identifier = new StreamIdentifier()
  identifier.setStreamName(Buffer.from(name).toString('base64'))
  return identifier
}

export function eventAnswer(event: StoredEvent): Streams.ReadResp {
  const recorded = new ReadResp.ReadEvent.RecordedEvent()
  recorded.setId(idMessage(event.id))
  recorded.setStreamIdentifier(streamIdentifier(event.stream))
  recorded.setStreamRevision(String(event.revision))
  recorded.setCommitPosition(String(event.position))
  recorded.setPreparePosition(String(event.position))
  recorded.setData(event.data)
  recorded.setCustomMetadata(event.metadata)
  const properties = recorded.getMetadataMap()
  properties.set('type', event.type)
  properties.set('created', String(event.created))
  properties.set('content-type', event.json ? 'application/json' : 'application/octet-stream')
  const read = new ReadResp.ReadEvent()
  read.setEvent(recorded)
  read.setCommitPosition(String(event.position))
  const answer = new ReadResp()
  answer.setEvent(read)
  return answer
}

export function streamNotFound(stream: string): Streams.ReadResp {
  const notFound = new ReadResp.StreamNotFound()
  notFound.setStreamIdentifier(streamIdentifier(stream))
  const answer = new ReadResp()
  answer.setStreamNotFound(notFound)
  return answer
}

export function confirmation(subscriptionId: string): Streams.ReadResp {
  const confirmed = new ReadResp.SubscriptionConfirmation()
  confirmed.setSubscriptionId(subscriptionId)
  const answer = new ReadResp()
  answer.setConfirmation(confirmed)
  return answer
}

export function checkpoint({ commit, prepare }: Place): Streams.ReadResp {
  const reached = new ReadResp.Checkpoint()
  reached.setCommitPosition(String(commit))
  reached.setPreparePosition(String(prepare))
  const answer = new ReadResp()
  answer.setCheckpoint(reached)
  return answer
}

export function caughtUp(): Streams.ReadResp {
  const answer = new ReadResp()
  answer.setCaughtUp(new ReadResp.CaughtUp())
  return answer
}

export const isTombstone = (event: StoredEvent): boolean => event.revision === END_OF_STREAM
