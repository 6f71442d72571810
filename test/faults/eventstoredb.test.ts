import { randomInt } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { startStandIn, startStandInCluster } from '../support/eventstoredb.ts'
import type { FaultName, LogServer } from './faults.ts'
import { EACH_OF_CLUSTER, EACH_OF_LOG, WEIGHED_OF_CLUSTER, WEIGHED_OF_LOG, faultRounds } from './rounds.ts'

const seed = Number(process.env['VARVE_FAULTS_SEED'] ?? randomInt(2 ** 31))
const asked = process.env['VARVE_FAULTS_ROUNDS']

type Started = LogServer & { stop(): Promise<void> }

async function startAlone(): Promise<Started> {
  const node = await startStandIn()
  return { url: node.url, nodes: [node], leader: () => Promise.resolve(node), stored: () => node.stored(), stop: () => node.stop() }
}

const each: readonly [string, () => Promise<Started>, readonly FaultName[]][] = [
  ['EventStoreDB', startAlone, asked === undefined ? EACH_OF_LOG : WEIGHED_OF_LOG],
  ['a cluster of EventStoreDB', startStandInCluster, asked === undefined ? EACH_OF_CLUSTER : WEIGHED_OF_CLUSTER],
]

it.each(each)(`keeps what clients were told over faults of a log on %s (VARVE_FAULTS_SEED=${seed})`, async (_, start, kinds) => {
  const rounds = Number(asked ?? kinds.length)
  const log = await start()
  const report = await faultRounds(seed, rounds, kinds, (line) => process.stderr.write(`${line}\n`), log)
  process.stderr.write(`${[...report.rounds].map(([name, times]) => `${name}: ${times}`).join('\n')}\n`)
  process.stderr.write(`${report.failed} requests failed, the longest wait ${Math.round(report.longestMs)} ms\n`)
  expect(report.problems).toEqual([])
  expect(report.pushes).toBeGreaterThan(rounds)
  expect(report.pulls).toBeGreaterThan(rounds)
  await log.stop()
}, 60_000 + Number(asked ?? 8) * 90_000)
