// `npm run bench -- [--rounds N] [--seconds N] [--only PATTERN] [--peers NAMES] [--setup]`: Varve beside other registries, on the loopback.
// `npm run bench -- rebuild [--records N,N] [--snapshot SECONDS]`: the read models rebuilt, and appends beside a snapshot.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

const args = process.argv.slice(2)
if (args.includes('--setup')) process.exit(spawnSync('bash', [join(root, 'test/tools/setup.sh'), 'bench'], { stdio: 'inherit' }).status ?? 1)
ensurePackages()
const [program, rest] = args[0] === 'rebuild' ? ['bench/rebuild.ts', args.slice(1)] : ['bench/main.ts', args]
const done = spawnSync(pinnedNode(), ['--disable-warning=ExperimentalWarning', join(root, program), ...rest], { cwd: root, stdio: 'inherit' })
process.exit(done.status ?? 1)
