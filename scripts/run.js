// `npm start` and `npm run varve -- …`: set up what is missing, then hand over to the pinned Node.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

ensurePackages()
const child = spawn(pinnedNode(), ['--disable-warning=ExperimentalWarning', join(root, 'src', 'main.ts'), ...process.argv.slice(2)], { stdio: 'inherit' })
// The terminal sends Ctrl-C to the whole group; a supervisor signals only this process, so it is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
process.on('SIGINT', () => {})
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
