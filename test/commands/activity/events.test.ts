import { createHash, randomUUID } from 'node:crypto'
import { expect, it } from '@jest/globals'
import canonicalize from 'canonicalize'
import { PULL_COLUMNS } from '../../../src/commands/activity/events.ts'
import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import type { Event } from '../../../src/ports/event.ts'

const codec = createCodec(eventTypes)
const [subject, request] = [randomUUID(), randomUUID()]

/** Reads an event of one pull as it stands in a log. */
function read(row: readonly unknown[]): Event {
  const artifact = { digest: `sha256:${'a'.repeat(64)}`, repository: `${randomUUID()}/app` }
  const data = { artifacts: [artifact], callers: [{ kind: 'user', subject }], columns: [...PULL_COLUMNS], pulls: [row] }
  const text = canonicalize({ actor: { kind: 'system', subject }, at: '2026-11-27T12:00:00.000Z', data, id: randomUUID(), type: 'PullsRecorded', version: 1 }) ?? ''
  return codec.decode(text, createHash('sha256').update(text).digest('hex'))
}

const whole = [0, 0, 1, request, 'latest', 'HEAD', 206, '0-4', '20261101t120000z']

it.each([4, 5, 6, 7, 8, 9])('a pull stands in a row of %d columns', (length) => {
  expect(read(whole.slice(0, length)).data).toMatchObject({ pulls: [whole.slice(0, length)] })
})

it.each([
  ['too few columns', whole.slice(0, 3)],
  ['too many', [...whole, null]],
  ['no index', [-1, 0, 1, request]],
  ['no request', [0, 0, 1, 'somebody']],
  ['no reference', [0, 0, 1, request, 7]],
  ['no status', [0, 0, 1, request, null, null, '206']],
])('a row with %s is refused', (_, row) => {
  expect(() => read(row)).toThrow('break their schema')
})
