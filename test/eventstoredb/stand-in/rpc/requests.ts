import { MAX_REVISION } from './limits.ts'
import { NO_STREAM } from '../store/expected.ts'
import type { Expected } from '../store/expected.ts'
import type { ProposedEvent } from '../store/record.ts'
import type { Shared, Streams } from './generated.ts'
import { readId } from './ids.ts'
import { invalidArgument, propertyMissing } from './refusals.ts'

const JSON_TYPE = 'application/json'

export function streamNameOf(identifier: Shared.StreamIdentifier | undefined): string {
  return Buffer.from(identifier?.getStreamName_asU8() ?? []).toString('utf8')
}

/** A stream's name in an append, which may not be empty. */
export function appendedStream(identifier: Shared.StreamIdentifier | undefined): string {
  const name = streamNameOf(identifier)
  if (name === '') throw new Error("Specified argument was out of the range of valid values. (Parameter 'eventStreamId')")
  return name
}

type RevisionOptions = Streams.AppendReq.Options | Streams.DeleteReq.Options | Streams.TombstoneReq.Options

export function expectedOf(options: RevisionOptions): Expected {
  if (options.hasAny()) return { kind: 'any' }
  if (options.hasStreamExists()) return { kind: 'exists' }
  if (options.hasNoStream()) return { kind: 'revision', revision: NO_STREAM }
  if (options.hasRevision()) return revision(options.getRevision())
  throw invalidArgument('no expected revision')
}

/** As `expectedOf`, for the batch call, which names the revision a position. */
export function expectedOfBatch(options: Streams.BatchAppendReq.Options): Expected {
  if (options.hasAny()) return { kind: 'any' }
  if (options.hasStreamExists()) return { kind: 'exists' }
  if (options.hasNoStream()) return { kind: 'revision', revision: NO_STREAM }
  if (options.hasStreamPosition()) return revision(options.getStreamPosition())
  throw invalidArgument('no expected revision')
}

function revision(text: string): Expected {
  const value = BigInt(text)
  if (value > MAX_REVISION) throw invalidArgument(`revision ${text} is out of range`)
  return { kind: 'revision', revision: value }
}

export function proposedOf(message: Streams.AppendReq.ProposedMessage | Streams.BatchAppendReq.ProposedMessage): ProposedEvent {
  const properties = message.getMetadataMap()
  const type = properties.get('type')
  const contentType = properties.get('content-type')
  if (type === undefined) throw propertyMissing('type')
  if (contentType === undefined) throw propertyMissing('content-type')
  const id = readId(message.getId())
  if (type === '') throw new Error("Empty eventType provided. (Parameter 'eventType')")
  return { id, type, json: contentType === JSON_TYPE, data: message.getData_asU8(), metadata: message.getCustomMetadata_asU8() }
}
