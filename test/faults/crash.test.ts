import { randomInt } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { crashRounds } from './crash.ts'

const seed = Number(process.env['VARVE_FAULTS_SEED'] ?? randomInt(2 ** 31))
const rounds = Number(process.env['VARVE_FAULTS_ROUNDS'] ?? 5)

it(`keeps what clients were told over ${rounds} crashes (VARVE_FAULTS_SEED=${seed})`, async () => {
  const report = await crashRounds(seed, rounds, (line) => process.stderr.write(`${line}\n`))
  expect(report.problems).toEqual([])
  expect(report.pushes).toBeGreaterThan(rounds)
  expect(report.pulls).toBeGreaterThan(rounds)
}, 60_000 + rounds * 60_000)
