import { createHash, randomUUID } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { Type } from '@sinclair/typebox'
import canonicalize from 'canonicalize'
import { createCodec } from '../../src/commands/codec.ts'
import { Instant, closed, eventType } from '../../src/ports/event.ts'
import type { Event, Fact } from '../../src/ports/event.ts'
import { MAX_EVENT_BYTES } from '../../src/ports/event-log.ts'

const First = Type.Object({ name: Type.String() }, closed)
const Second = Type.Object({ names: Type.Array(Type.String()) }, closed)
const Third = Type.Object({ names: Type.Array(Type.String()), count: Type.Integer() }, closed)

const Named1 = eventType('Named', First)
const Named3 = eventType('Named', Third, {
  schemas: [First, Second],
  upcast: {
    1: (data) => ({ names: [(data as { name: string }).name] }),
    2: (data) => ({ ...(data as object), count: (data as { names: string[] }).names.length }),
  },
})

const [old, current] = [createCodec([Named1]), createCodec([Named3])]

function event<F extends Fact>(fact: F): Event<F> {
  return { ...fact, id: randomUUID(), at: '2026-11-24T12:00:00.000Z', actor: { kind: 'system', subject: randomUUID() } }
}

describe('the codec of events', () => {
  it('writes the canonical form, and its sha256 as the hash', () => {
    const encoded = old.encode(event(Named1({ name: 'é' })))
    expect(encoded.text).toMatch(/^\{"actor":\{"kind":"system","subject":"[^"]+"\},"at":"2026-11-24T12:00:00\.000Z","data":\{"name":"é"\},"id":/)
    expect(encoded.hash).toEqual(createHash('sha256').update(encoded.text).digest())
    expect(encoded.sizeBytes).toBe(Buffer.byteLength(encoded.text))
  })

  it('writes the same whatever the order of the keys', () => {
    const Nested = eventType('Nested', Type.Object({ rows: Type.Array(Type.Unknown()), map: Type.Record(Type.String(), Type.Unknown()) }, closed))
    const codec = createCodec([Nested])
    const written = event(Nested({ map: { a: 1, b: [{ x: null, y: 'é' }] }, rows: [[1, 'a', null], { k: 0.1, l: '\u20ac' }] }))
    const { actor, at, data, id, type, version } = written
    const inOrder = codec.encode(written).text
    expect(inOrder).toBe(canonicalize(written))
    const shuffled = { version, data: { rows: [data.rows[0], { l: '\u20ac', k: 0.1 }], map: { b: [{ y: 'é', x: null }], a: 1 } }, type, id, at, actor: { subject: actor.subject, kind: actor.kind } }
    expect(codec.encode(shuffled).text).toBe(inOrder)
    const numbered = event(Nested({ map: { '10': 1, '9': 2 }, rows: [] }))
    expect(codec.encode(numbered).text).toBe(canonicalize(numbered))
    expect(codec.encode(numbered).text).toContain('{"10":1,"9":2}')
  })

  it('takes what an older release wrote through each version to this one, its hash checked over what was written', () => {
    const written = old.encode(event(Named1({ name: 'a' })))
    expect(current.decode(written.text, written.hash.toString('hex'))).toMatchObject({ type: 'Named', version: 3, data: { names: ['a'], count: 1 } })
  })

  it.each(['2026-02-30T00:00:00.000Z', '2026-13-01T00:00:00.000Z', '0000-01-01T00:00:00.000Z', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000+00:00', 'tomorrow'])(
    'refuses the instant %s, which Postgres would not take or would give back as another text',
    (at) => {
      const Ends = eventType('Ends', Type.Object({ at: Instant }, closed))
      const codec = createCodec([Ends])
      expect(() => codec.encode(event(Ends({ at })))).toThrow('"instant"')
      expect(() => codec.encode({ ...event(Ends({ at: '2027-12-31T23:59:59.999Z' })), at })).toThrow('"instant"')
      expect(codec.encode(event(Ends({ at: '2027-12-31T23:59:59.999Z' }))).text).toContain('2027')
    },
  )

  it('refuses what was changed, what it does not know and what breaks its schema, on the way in and out', () => {
    const written = old.encode(event(Named1({ name: 'a' })))
    expect(() => current.decode(written.text.replace('"a"', '"b"'), written.hash.toString('hex'))).toThrow('hash')
    const newer = current.encode(event(Named3({ names: [], count: 0 })))
    expect(() => old.decode(newer.text, newer.hash.toString('hex'))).toThrow('version 3')
    expect(() => createCodec([]).decode(written.text, written.hash.toString('hex'))).toThrow('does not know')
    const wrong = '{"type":"Named","version":1}'
    expect(() => old.decode(wrong, createHash('sha256').update(wrong).digest('hex'))).toThrow('schema')
    expect(() => old.encode({ ...event(Named1({ name: 'a' })), at: '2026-11-24' })).toThrow('schema')
    expect(() => old.encode({ ...event(Named1({ name: 'a' })), requestId: 'not a uuid' })).toThrow('schema')
    expect(() => current.encode(event(Named1({ name: 'a' })))).toThrow('written as version 3')
  })

  it('reads an event that is kept as a value, in whatever order, as it reads its text', () => {
    const written = event(Named1({ name: 'a' }))
    const { text, hash } = old.encode(written)
    const { data, ...rest } = JSON.parse(text) as Event
    for (const value of [JSON.parse(text), { data, ...rest }]) {
      expect(current.decodeValue(value, hash.toString('hex'))).toEqual({ event: current.decode(text, hash.toString('hex')), sizeBytes: Buffer.byteLength(text) })
    }
    expect(() => current.decodeValue({ ...rest, data: { name: 'b' } }, hash.toString('hex'))).toThrow('hash')
    expect(() => current.decodeValue({ ...rest, data, more: 1 }, hash.toString('hex'))).toThrow()
  })

  it('refuses one byte more than an event may have', () => {
    const frame = old.encode(event(Named1({ name: '' }))).sizeBytes
    expect(old.encode(event(Named1({ name: 'x'.repeat(MAX_EVENT_BYTES - frame - 1) }))).sizeBytes).toBe(MAX_EVENT_BYTES - 1)
    expect(() => old.encode(event(Named1({ name: 'x'.repeat(MAX_EVENT_BYTES - frame) })))).toThrow('larger')
  })
})

describe('the library for RFC 8785', () => {
  it.each([
    ['numbers (appendix B)', [0, -0, 5e-324, -5e-324, 1.7976931348623157e308, 9007199254740992, 295147905179352830000, 1e21, 1e-7, 333333333.3333332, 0.000001],
      '[0,0,5e-324,-5e-324,1.7976931348623157e+308,9007199254740992,295147905179352830000,1e+21,1e-7,333333333.3333332,0.000001]'],
    ['strings (3.2.2.2)', '\u20ac$\u000f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'],
    ['keys by UTF-16 units (3.2.3)', { '\u20ac': 'Euro', '\r': 'CR', '\ufb33': 'Dalet', '1': 'One', '\ud83d\ude00': 'Grin', '\u0080': 'Control', '\u00f6': 'o' },
      '{"\\r":"CR","1":"One","\u0080":"Control","ö":"o","€":"Euro","\ud83d\ude00":"Grin","\ufb33":"Dalet"}'],
    ['absent fields left out', { b: undefined, a: [1, { d: null, c: true }] }, '{"a":[1,{"c":true,"d":null}]}'],
  ])('%s', (_, value, text) => {
    expect(canonicalize(value)).toBe(text)
  })
})
