// `npm run test:faults -- [--rounds N] [--seed S]`: rounds of faults, and pauses of the log, against servers of their own on the loopback.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '50' }, seed: { type: 'string' } } })
ensurePackages()
const jest = join(root, 'node_modules/jest/bin/jest.js')
const done = spawnSync(pinnedNode(), ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, '--runInBand', 'test/faults'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, VARVE_FAULTS_ROUNDS: values.rounds, ...(values.seed === undefined ? {} : { VARVE_FAULTS_SEED: values.seed }) },
})
process.exit(done.status ?? 1)
