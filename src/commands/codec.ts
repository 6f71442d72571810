import { hash as hashOf } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import canonicalize from 'canonicalize'
import { parseDigest } from '../oci/digest.ts'
import { parseTag } from '../oci/names.ts'
import { Instant, SealedText, Uuid, closed } from '../ports/event.ts'
import type { Event, EventKind } from '../ports/event.ts'
import { EventError, MAX_EVENT_BYTES } from '../ports/event-log.ts'
import type { EncodedEvent, EventCodec } from '../ports/event-log.ts'
import { isStorable } from '../ports/storable.ts'

const Envelope = Type.Object(
  {
    id: Uuid,
    type: Type.String({ pattern: '^[A-Z][A-Za-z]+$' }),
    version: Type.Integer({ minimum: 1 }),
    at: Instant,
    actor: Type.Object(
      { kind: Type.Union(['user', 'robot', 'anonymous', 'operator', 'peer', 'system'].map((kind) => Type.Literal(kind))), subject: Uuid },
      closed,
    ),
    private: Type.Optional(SealedText),
    requestId: Type.Optional(Uuid),
    operation: Type.Optional(Uuid),
    origin: Type.Optional(Type.Object({ registry: Uuid, id: Uuid }, closed)),
    data: Type.Object({}),
  },
  closed,
)

/** As `toISOString` writes it, from the year 1000 on: Postgres takes every such instant, and gives it back as the same text. */
function isInstant(text: string): boolean {
  // A day that every month has needs no calendar.
  if (/^[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/.test(text)) return true
  const date = new Date(text)
  return /^[1-9]\d{3}-/.test(text) && !Number.isNaN(date.getTime()) && date.toISOString() === text
}

/** An event in RFC 8785 form. The envelope is put in order here; where the data are, too, JSON.stringify writes the same as the library, sooner. */
function canonicalText(event: Event): string | undefined {
  const { actor, at, data, id, operation, origin, private: sealed, requestId, type, version } = event
  const ordered = { actor, at, data, id, operation, origin, private: sealed, requestId, type, version }
  return isInOrder(ordered) ? JSON.stringify(ordered) : canonicalize(event)
}

/** Whether keys stand as RFC 8785 (§3.2.3) sorts them. One that looks like an array's index has an order of its own in JavaScript. */
function isInOrder(data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return true
  // Thousands of values an event, each event of a storm: so nothing is made for them, and nothing called for those that have no keys.
  if (Array.isArray(data)) {
    for (const value of data) if (typeof value === 'object' && !isInOrder(value)) return false
    return true
  }
  let last = ''
  for (const key in data) {
    const first = key.charCodeAt(0)
    if (key < last || (first >= 0x30 && first <= 0x39) || !isInOrder(Reflect.get(data, key))) return false
    last = key
  }
  return true
}

/**
 * The codec over the event types that this release knows: what an event must look like, its canonical form and its hash.
 * The hash is of the event as first written, so it is checked before anything is upcast.
 */
export function createCodec(types: readonly EventKind[]): EventCodec {
  // A pull's row may be cut off at its end, and is one tuple all the same.
  const ajv = new Ajv({ allErrors: false, strict: true, strictTuples: false, validateFormats: true })
  ajv.addFormat('digest', { type: 'string', validate: (text: string) => parseDigest(text) !== undefined })
  ajv.addFormat('tag', { type: 'string', validate: (text: string) => parseTag(text) !== undefined })
  ajv.addFormat('instant', { type: 'string', validate: isInstant })
  const checkEnvelope = ajv.compile(Envelope)
  const known = new Map(
    types.map((type) => {
      const checks = Object.entries(type.schemas).map(([version, schema]) => [Number(version), ajv.compile(schema)] as const)
      return [type.type, { type, checks: new Map(checks) }]
    }),
  )

  function checkAll(event: Event) {
    if (!checkEnvelope(event)) throw new EventError(`an event breaks the schema of all events: ${ajv.errorsText(checkEnvelope.errors)}`)
    const kind = known.get(event.type)
    const valid = kind?.checks.get(event.version)
    if (kind === undefined || valid === undefined) {
      throw new EventError(`this release does not know an event ${event.type} of version ${event.version}`)
    }
    if (!valid(event.data)) throw new EventError(`the data of an event ${event.type} break their schema: ${ajv.errorsText(valid.errors)}`)
    return kind
  }

  /** An event that was read, checked and as this release writes it. */
  function current(event: Event): Event {
    const { type } = checkAll(event)
    if (event.version === type.version) return event
    let { data } = event
    for (let version = event.version; version < type.version; version += 1) {
      const upcast = type.upcast[version]
      if (upcast === undefined) throw new EventError(`no way from version ${version} of ${event.type} to the next`)
      data = upcast(data)
    }
    return { ...event, version: type.version, data }
  }

  return {
    encode(event): EncodedEvent {
      const kind = checkAll(event)
      if (kind.type.version !== event.version) throw new EventError(`${event.type} is written as version ${kind.type.version}`)
      const text = canonicalText(event)
      if (text === undefined) throw new EventError(`an event ${event.type} has no canonical form`)
      if (!isStorable(text)) throw new EventError(`an event ${event.type} holds U+0000 or a lone surrogate`)
      const sizeBytes = Buffer.byteLength(text)
      if (sizeBytes >= MAX_EVENT_BYTES) throw new EventError(`an event ${event.type} of ${sizeBytes} bytes is larger than ${MAX_EVENT_BYTES}`)
      return { id: event.id, text, sizeBytes, hash: hashOf('sha256', text, 'buffer') }
    },
    decode(text, hash): Event {
      checkHash(text, hash)
      return current(JSON.parse(text) as Event)
    },
    decodeValue(value, hash) {
      const event = value as Event
      const text = canonicalText(event) ?? ''
      checkHash(text, hash)
      return { event: current(event), sizeBytes: Buffer.byteLength(text) }
    },
  }
}

function checkHash(text: string, hash: string): void {
  if (hashOf('sha256', text, 'hex') !== hash) throw new EventError('an event does not match its hash')
}
