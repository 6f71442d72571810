// `npm run bench -- [--rounds N] [--seconds N] [--only PATTERN] [--peers NAMES] [--setup]`: Varve beside other registries, on the loopback.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

const args = process.argv.slice(2)
if (args.includes('--setup')) process.exit(spawnSync('bash', [join(root, 'test/tools/setup.sh'), 'bench'], { stdio: 'inherit' }).status ?? 1)
ensurePackages()
const done = spawnSync(pinnedNode(), ['--disable-warning=ExperimentalWarning', join(root, 'bench/main.ts'), ...args], { cwd: root, stdio: 'inherit' })
process.exit(done.status ?? 1)
