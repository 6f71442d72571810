// `npm start` and `npm run varve -- …`: set up what is missing, then hand over to the pinned Node.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

ensurePackages()
// Each push waits in a thread for the disk: with libuv's four, sixteen at once would wait for each other.
const env = { UV_THREADPOOL_SIZE: '16', ...process.env }
const child = spawn(pinnedNode(), ['--disable-warning=ExperimentalWarning', join(root, 'src', 'main.ts'), ...process.argv.slice(2)], { stdio: 'inherit', env })
// The terminal sends Ctrl-C to the whole group; a supervisor signals only this process, so it is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
process.on('SIGINT', () => {})
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
