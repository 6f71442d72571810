import { randomInt } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { KINDS, fuzz } from './fuzz.ts'

const seed = Number(process.env['VARVE_FUZZ_SEED'] ?? randomInt(2 ** 31))
const requests = Number(process.env['VARVE_FUZZ_REQUESTS'] ?? 20_000)

it(`answers ${requests} requests of every kind in the specification's words (VARVE_FUZZ_SEED=${seed})`, async () => {
  const { kinds, statuses, problems } = await fuzz(seed, requests)
  process.stderr.write(`fuzz: seed ${seed}, ${JSON.stringify(statuses)}\n`)
  expect(problems).toEqual([])
  for (const kind of KINDS) expect([kind, (kinds[kind] ?? 0) >= 10]).toEqual([kind, true])
}, 120_000 + requests * 20)
