import { randomUUID } from 'node:crypto'
import { expect, it } from '@jest/globals'
import type { RecordedEvent } from '@eventstore/db-client'
import { ProcessStarted } from '../../../../src/commands/activity/events.ts'
import { createCodec } from '../../../../src/commands/codec.ts'
import { eventTypes } from '../../../../src/commands/event-types.ts'
import type { Event } from '../../../../src/ports/event.ts'
import { MAX_APPEND_BYTES } from '../../../../src/ports/event-log.ts'
import { createNames } from '../../../../src/storage/events/eventstoredb/names.ts'
import { fromServer, toServer } from '../../../../src/storage/events/eventstoredb/server-events.ts'
import { eventOf } from '../contract.ts'

const codec = createCodec(eventTypes)
const event: Event = { ...eventOf(ProcessStarted({ release: '1' })), requestId: randomUUID(), origin: { registry: randomUUID(), id: randomUUID() } }

/** As the server gives it back: through JSON, and with what it knows besides. */
function stored(change: Partial<RecordedEvent> = {}): RecordedEvent {
  const { id, type, data, metadata } = JSON.parse(JSON.stringify(toServer(codec.encode(event)))) as ReturnType<typeof toServer>
  return { streamId: 's', id, type, data, metadata, isJson: true, revision: 0n, created: new Date(), position: { commit: 1n, prepare: 1n }, ...change } as RecordedEvent
}

it('puts id, type and data in their places there, and the rest of the envelope and the hash beside them', () => {
  const { id, type, data, metadata } = toServer(codec.encode(event))
  expect({ id, type, data }).toEqual({ id: event.id, type: 'ProcessStarted', data: { release: '1' } })
  expect(metadata).toEqual({
    version: 1,
    at: event.at,
    actor: event.actor,
    requestId: event.requestId,
    origin: event.origin,
    hash: codec.encode(event).hash.toString('base64url'),
  })
  expect(fromServer(stored(), codec)).toMatchObject({ event, hash: codec.encode(event).hash.toString('hex') })
})

it('refuses what Varve did not write, or somebody changed', () => {
  for (const change of [{ data: { release: '2' } }, { type: 'Other' }, { id: randomUUID() }, { metadata: undefined }, { isJson: false, data: Buffer.from('') }]) {
    expect(() => fromServer(stored(change as Partial<RecordedEvent>), codec)).toThrow()
  }
})

it('keeps an append within our bound within the server\'s, of the smallest events that there can be', () => {
  const { text } = codec.encode(event)
  const smallest = codec.encode(eventOf(ProcessStarted({ release: '' })))
  expect(smallest.sizeBytes).toBeLessThan(text.length)
  const { type, data, metadata } = toServer(smallest)
  // What the server counts of an event: data, metadata, and two bytes for each character of the type.
  const counted = JSON.stringify(data).length + JSON.stringify(metadata).length + 2 * type.length
  expect((counted / smallest.sizeBytes) * MAX_APPEND_BYTES).toBeLessThan(1_048_576)
})

it('names streams so that no space and no lane begins another', () => {
  const [one, other] = [createNames('varve'), createNames('varve-2')]
  expect([one.onServer('log'), one.onServer('activity-x'), one.onServer('repository-p/a')]).toEqual(['varve.s.log', 'varve.a.activity-x', 'varve.s.repository-p/a'])
  expect(one.prefixesOf(['state'])).toEqual(['varve.s.', '$$varve.s.'])
  expect([one.ofServer('varve.s.log'), one.ofServer('varve-2.s.log'), one.ofServer('$$varve.s.log')]).toEqual(['log', undefined, undefined])
  expect([one.ofMetadata('$$varve.a.activity-x'), one.ofMetadata('varve.a.activity-x'), other.ofMetadata('$$varve.a.activity-x')]).toEqual(['activity-x', undefined, undefined])
})
