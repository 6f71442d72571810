import { expect, it } from '@jest/globals'
import { reachEventStore, startStandIn } from '../support/eventstoredb.ts'
import { compareAnswers } from './comparison.ts'

it('answers as the real server did, 163 times', async () => {
  const { url, standIn } = await reachEventStore()
  const { output, code } = await compareAnswers(url)
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
