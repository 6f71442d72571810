// `npm test`: types, lint, then every jest suite whose parts this machine has. Ends with `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

ensurePackages()
const node = pinnedNode()
const ci = process.env.CI === 'true'
const bin = (name, file) => join(root, 'node_modules', name, file)

function step(title, args, env = {}) {
  console.log(`\nVarve: ${title}`)
  return spawnSync(args[0], args.slice(1), { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0
}

if (ci && !step('installing what the client suites need (npm run test:setup)', ['bash', join(root, 'test/tools/setup.sh')])) {
  console.log('0 passed, 1 failed')
  process.exit(1)
}

let failed = 0
if (!step('checking types', [node, bin('typescript', 'bin/tsc'), '--noEmit'])) failed += 1
if (!step('checking style', [node, bin('eslint', 'bin/eslint.js'), '.'])) failed += 1

const folder = mkdtempSync(join(tmpdir(), 'varve-test-'))
const report = join(folder, 'jest.json')
const jestArgs = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', bin('jest', 'bin/jest.js'), ...process.argv.slice(2), '--reporters=default', `--reporters=${join(root, 'scripts/jest-counts.js')}`]
const jestOk = step('running tests', [node, ...jestArgs], { VARVE_TEST_REPORT: report })

let passed = 0
try {
  const counted = JSON.parse(readFileSync(report, 'utf8'))
  const { skipped } = counted
  passed = counted.passed
  failed += counted.failed
  if (skipped.length > 0) {
    console.log(`\nSkipped, since this machine lacks a part (\`npm run test:setup\` on Debian, as root, brings them):\n${skipped.map((name) => `  ${name}`).join('\n')}`)
    if (ci) failed += skipped.length
  }
  if (!jestOk && failed === 0) failed = 1
} catch {
  failed += 1
}
rmSync(folder, { recursive: true, force: true })
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
