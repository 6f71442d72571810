// `npm run test:eventstoredb [-- --rounds N]`: what the log on EventStoreDB must show, against the live server that
// VARVE_TEST_EVENTSTORE_URL names (esdb://…, without a space), or else against the stand-in. It writes only to streams of its own.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

/** The answers recorded of a real server, the contract of every log, docker's clients and the OCI's conformance, crashes, rebuilds. */
const TESTS = ['test/eventstoredb/answers', 'test/storage/events/eventstoredb/log', 'test/e2e', 'test/faults/rounds', 'test/projections/switch', 'test/api/oci/pulls', 'test/cli/audit']

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } })
ensurePackages()
const folder = mkdtempSync(join(tmpdir(), 'varve-eventstoredb-'))
const given = process.env.VARVE_TEST_EVENTSTORE_URL
const standIn = given === undefined ? await startStandIn() : undefined
const report = join(folder, 'jest.json')
const jest = join(root, 'node_modules/jest/bin/jest.js')
const reporters = ['--reporters=default', `--reporters=${join(root, 'scripts/jest-counts.js')}`]
const done = spawnSync(pinnedNode(), ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, '--runInBand', ...TESTS, ...reporters], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, VARVE_TEST_EVENTSTORE_URL: given ?? standIn.url, VARVE_TEST_REPORT: report, VARVE_FAULTS_ROUNDS: values.rounds },
})
standIn?.child.kill('SIGTERM')
/** Jest tells what it ran; where it could not even begin, its own output says why. */
const { passed, failed, skipped } = JSON.parse(readFileSync(report, 'utf8'))
rmSync(folder, { recursive: true, force: true })
console.log(`\nAgainst ${given === undefined ? 'the stand-in' : 'the server of VARVE_TEST_EVENTSTORE_URL'}. What was written stands in streams that begin with the spaces printed above.`)
if (skipped.length > 0) console.log(`Missing, since this machine lacks a part:\n${skipped.map((name) => `  ${name}`).join('\n')}`)
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(done.status ?? 1)

/** Starts it as a process of its own, on a port that is free, and waits until it takes calls. */
function startStandIn() {
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'test/eventstoredb/stand-in/main.ts'), '--port', '0', '--data', join(folder, 'log')]
  const child = spawn(pinnedNode(), args, { stdio: ['ignore', 'pipe', 'inherit'] })
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      const port = /^listening on .*:(\d+)$/m.exec(output)?.[1]
      if (port !== undefined && /^ready$/m.test(output)) resolve({ child, url: `esdb://127.0.0.1:${port}?tls=false` })
    })
    child.once('exit', (code) => reject(new Error(`the stand-in ended with ${code}`)))
  })
}
