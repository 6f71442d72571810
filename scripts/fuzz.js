// `npm run test:fuzz -- [--requests N] [--seed S]`: odd requests against a server of its own on the loopback.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

const { values } = parseArgs({ options: { requests: { type: 'string', default: '200000' }, seed: { type: 'string' } } })
ensurePackages()
const jest = join(root, 'node_modules/jest/bin/jest.js')
const done = spawnSync(pinnedNode(), ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, 'test/fuzz'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, VARVE_FUZZ_REQUESTS: values.requests, ...(values.seed === undefined ? {} : { VARVE_FUZZ_SEED: values.seed }) },
})
process.exit(done.status ?? 1)
