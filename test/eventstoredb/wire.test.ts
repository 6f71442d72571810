import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { startStandIn } from '../support/eventstoredb.ts'
import { compareAnswers } from './comparison.ts'
import { startWireProxy } from './wire-proxy.ts'
import { shapesOf } from './wire-shapes.ts'

/** The scenarios whose messages were recorded, by the beginnings of their names. */
const RECORDED = ['append:', 'idempotency:', 'read:', 'subscribe:', 'delete:', 'metadata:', 'order:', 'race:']

/** `shapesOf` what the real server sent in these scenarios (fixtures/eventstoredb/wire.json). */
const recorded = JSON.parse(readFileSync(join(import.meta.dirname, 'wire-shapes.json'), 'utf8')) as unknown

it('sends messages of the shapes that the real server sent, and no others', async () => {
  const standIn = await startStandIn()
  const proxy = await startWireProxy(`127.0.0.1:${standIn.port}`)
  try {
    for (const scenarios of RECORDED) {
      const { output } = await compareAnswers(`esdb://${proxy.address}?tls=false`, scenarios)
      expect(output).toMatch(/^[1-9]\d* answers compared, 0 differ\n$/)
    }
    expect(shapesOf(proxy.calls)).toEqual(recorded)
  } finally {
    proxy.close()
  }
})
