import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { reachEventStore } from '../support/eventstoredb.ts'

/** The answers recorded of a real server, the contract of every log, docker's clients and the OCI's conformance, faults of Varve, rebuilds. */
const TESTS = [
  'test/eventstoredb/answers', 'test/storage/events/eventstoredb/log', 'test/e2e', 'test/faults/rounds', 'test/projections/switch', 'test/api/oci/pulls', 'test/cli/audit',
]

type Counts = { readonly passed: number; readonly failed: number; readonly skipped: readonly string[] }

const root = join(import.meta.dirname, '../..')
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } })
const folder = mkdtempSync(join(tmpdir(), 'varve-eventstoredb-run-'))
const report = join(folder, 'jest.json')
const { url, standIn } = await reachEventStore()
const options = ['--runInBand', '--reporters=default', `--reporters=${join(root, 'scripts/jest-counts.js')}`]
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', join(root, 'node_modules/jest/bin/jest.js'), ...TESTS, ...options]
const env = { ...process.env, VARVE_TEST_EVENTSTORE_URL: url, VARVE_TEST_REPORT: report, VARVE_FAULTS_ROUNDS: values.rounds }
const tests = spawn(process.execPath, jest, { cwd: root, stdio: 'inherit', env })
const code = await new Promise<number | null>((resolve) => tests.once('exit', resolve))
await standIn?.stop()

// Where jest could not begin, its own output says why.
const counts = existsSync(report) ? (JSON.parse(readFileSync(report, 'utf8')) as Counts) : { passed: 0, failed: 1, skipped: [] }
rmSync(folder, { recursive: true })
const place = standIn === undefined ? 'the server of VARVE_TEST_EVENTSTORE_URL' : 'the stand-in'
const missing = counts.skipped.length === 0 ? '' : `Missing, since this machine lacks a part:\n${counts.skipped.map((name) => `  ${name}\n`).join('')}`
process.stdout.write(`\nAgainst ${place}. What was written stands in streams that begin with the spaces printed above,\nand what the comparison wrote in those that begin with "run" and its time.\n${missing}\n`)
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`)
process.exitCode = code ?? 1
