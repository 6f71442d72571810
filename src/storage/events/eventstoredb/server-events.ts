import { jsonEvent } from '@eventstore/db-client'
import type { RecordedEvent } from '@eventstore/db-client'
import { EventError } from '../../../ports/event-log.ts'
import type { EncodedEvent, EventCodec } from '../../../ports/event-log.ts'
import type { Event } from '../../../ports/event.ts'

/** An event as it is sent: made of its canonical text, so that nothing changes what a repeat sends. */
export type ServerEvent = ReturnType<typeof toServer>

/**
 * `id`, `type` and `data` are the event's own there, what else its envelope holds and its hash its metadata. The hash stands in
 * base64url: so an append within our bounds stays within the server's 1,048,576 bytes, however small its events are.
 */
export function toServer({ text, hash }: EncodedEvent) {
  const { id, type, data, ...envelope } = JSON.parse(text) as { id: string; type: string; data: Record<string, unknown> }
  return jsonEvent({ id, type, data, metadata: { ...envelope, hash: hash.toString('base64url') } })
}

/** An event that the server gave, checked against its hash. Throws an EventError where it is none of Varve's. */
export function fromServer(recorded: RecordedEvent, codec: EventCodec): { readonly event: Event; readonly hash: string; readonly sizeBytes: number } {
  const { id, type, data, metadata, isJson } = recorded
  const { hash, ...envelope } = isRecord(metadata) ? metadata : {}
  if (!isJson || typeof hash !== 'string') throw new EventError(`${recorded.streamId} holds at revision ${recorded.revision.toString()} what Varve did not write`)
  const hex = Buffer.from(hash, 'base64url').toString('hex')
  return { ...codec.decodeValue({ ...envelope, id, type, data }, hex), hash: hex }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
