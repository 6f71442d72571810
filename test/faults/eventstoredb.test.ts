import { randomInt } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { startStandIn } from '../support/eventstoredb.ts'
import { EACH_OF_LOG, WEIGHED_OF_LOG, faultRounds } from './rounds.ts'

const seed = Number(process.env['VARVE_FAULTS_SEED'] ?? randomInt(2 ** 31))
const asked = process.env['VARVE_FAULTS_ROUNDS']
const rounds = Number(asked ?? EACH_OF_LOG.length)

it(`keeps what clients were told over ${rounds} faults of a log on EventStoreDB (VARVE_FAULTS_SEED=${seed})`, async () => {
  const log = await startStandIn()
  const report = await faultRounds(seed, rounds, asked === undefined ? EACH_OF_LOG : WEIGHED_OF_LOG, (line) => process.stderr.write(`${line}\n`), log)
  process.stderr.write(`${[...report.rounds].map(([name, times]) => `${name}: ${times}`).join('\n')}\n`)
  expect(report.problems).toEqual([])
  expect(report.pushes).toBeGreaterThan(rounds)
  expect(report.pulls).toBeGreaterThan(rounds)
  await log.stop()
}, 60_000 + rounds * 90_000)
