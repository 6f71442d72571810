import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { startStandIn } from '../support/eventstoredb.ts'

it('answers as the real server did, 163 times', async () => {
  const standIn = await startStandIn()
  const { output, code } = await compare(standIn.url)
  expect(output).toMatch(/163 answers compared, 0 differ\n$/)
  expect(code).toBe(0)
  // The run appended by both calls, so both were compared.
  const { calls } = await standIn.status()
  expect(Math.min(...Object.values(calls))).toBeGreaterThan(0)
})

it('answers the same from a log that was there already, also after a kill', async () => {
  const standIn = await startStandIn()
  await compare(standIn.url, 'subscribe')
  await standIn.kill('SIGKILL')
  await standIn.restart()
  const { output, code } = await compare(standIn.url)
  expect(output).toMatch(/163 answers compared, 0 differ\n$/)
  expect(code).toBe(0)
})

/** Runs record.mjs, all of it or the scenarios with a word in their names. */
async function compare(url: string, only?: string): Promise<{ readonly output: string; readonly code: number | null }> {
  const args = [join(import.meta.dirname, 'record.mjs'), url, '--compare']
  const env = only === undefined ? process.env : { ...process.env, ONLY: only }
  const child = spawn(process.execPath, args, { cwd: join(import.meta.dirname, '../..'), env, stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { output, code }
}
