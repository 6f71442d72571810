// `npm run eventstoredb:stand-in -- --port 2113 --data DIR`: a server that answers as EventStoreDB does, for tests and trials.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

ensurePackages()
const program = join(root, 'test/eventstoredb/stand-in/main.ts')
const child = spawn(pinnedNode(), ['--disable-warning=ExperimentalWarning', program, ...process.argv.slice(2)], { stdio: 'inherit' })
// The terminal sends Ctrl-C to the whole group; a supervisor signals only this process, so it is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
process.on('SIGINT', () => {})
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
