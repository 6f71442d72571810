import { expect, it } from '@jest/globals'
import { startStandIn } from '../support/eventstoredb.ts'
import { compareAnswers } from './comparison.ts'

/** A server of the user's own (`npm run test:eventstoredb`). */
const live = process.env['VARVE_TEST_EVENTSTORE_URL']

it('answers as the real server did, 163 times', async () => {
  const standIn = live === undefined ? await startStandIn() : undefined
  const { output, code } = await compareAnswers(live ?? standIn?.url ?? '')
  expect(output).toMatch(/163 answers compared, 0 differ\n$/)
  expect(code).toBe(0)
  if (standIn === undefined) return
  // The run appended by both calls, so both were compared.
  const { calls } = await standIn.status()
  expect(Math.min(...Object.values(calls))).toBeGreaterThan(0)
})

it('answers the same from a log that was there already, also after a kill', async () => {
  const standIn = await startStandIn()
  await compareAnswers(standIn.url, 'subscribe')
  await standIn.kill('SIGKILL')
  await standIn.restart()
  const { output, code } = await compareAnswers(standIn.url)
  expect(output).toMatch(/163 answers compared, 0 differ\n$/)
  expect(code).toBe(0)
})
