import { randomInt } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { EACH, WEIGHED, faultRounds } from './rounds.ts'

const seed = Number(process.env['VARVE_FAULTS_SEED'] ?? randomInt(2 ** 31))
const asked = process.env['VARVE_FAULTS_ROUNDS']
const rounds = Number(asked ?? EACH.length)

it(`keeps what clients were told over ${rounds} faults (VARVE_FAULTS_SEED=${seed})`, async () => {
  const report = await faultRounds(seed, rounds, asked === undefined ? EACH : WEIGHED, (line) => process.stderr.write(`${line}\n`))
  process.stderr.write(`${[...report.rounds].map(([name, times]) => `${name}: ${times}`).join('\n')}\n`)
  expect(report.problems).toEqual([])
  expect(report.pushes).toBeGreaterThan(rounds)
  expect(report.pulls).toBeGreaterThan(rounds)
}, 60_000 + rounds * 90_000)
