// `npm run test:eventstoredb [-- --rounds N]`: what the log on EventStoreDB must show, against the live server that
// VARVE_TEST_EVENTSTORE_URL names (esdb://…, without a space), or else against the stand-in. It writes only to streams of its own.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ensurePackages, pinnedNode, root } from './toolchain.js'

ensurePackages()
const program = join(root, 'test/eventstoredb/run.ts')
const done = spawnSync(pinnedNode(), ['--disable-warning=ExperimentalWarning', program, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
process.exit(done.status ?? 1)
