import { randomInt } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { fuzz } from './fuzz.ts'
import { CELLS, KINDS } from './plan.ts'

const seed = Number(process.env['VARVE_FUZZ_SEED'] ?? randomInt(2 ** 31))
const requests = Number(process.env['VARVE_FUZZ_REQUESTS'] ?? 20_000)

it(`answers ${requests} requests of every kind in the specification's words (VARVE_FUZZ_SEED=${seed})`, async () => {
  const { coverage, statuses, memoryMiB, problems } = await fuzz(seed, requests)
  process.stderr.write(`fuzz: seed ${seed}\n${coverage.table()}\nanswers: ${JSON.stringify(statuses)}\nresident memory on the way: ${memoryMiB.join(', ')} MiB\n`)
  expect(problems).toEqual([])
  // Every second request takes the next combination, so fewer than that cannot reach them all.
  if (requests < 2 * CELLS.length) return
  expect(KINDS.filter((kind) => coverage.ofKind(kind) < 10)).toEqual([])
  expect(coverage.missing()).toEqual([])
}, 120_000 + requests * 20)
