import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { flushOutput } from './cli/output.ts'
import { runCli } from './cli/program.ts'
import { loadConfig } from './config.ts'
import { createLogger } from './logger.ts'
import { prepareServer } from './storage/events/eventstoredb/prepare.ts'
import { serverSettings } from './wiring/log.ts'
import { open } from './wiring/open.ts'
import { serve } from './wiring/serve.ts'

const { version: release } = createRequire(import.meta.url)('../package.json') as { version: string }

// V8 lets a heap grow to four times what lives in it before it looks for garbage, to twice with this: 100 MiB less in a rebuild, at no cost that
// could be measured (docs/performance/rebuild.md).
setFlagsFromString('--heap-growing-percent=100')

process.exitCode = await runCli(process.argv.slice(2), {
  release,
  config: () => loadConfig(process.env),
  serve: (config) => serve(config, release),
  open: (config) => open(config, createLogger({ level: 'warn' }), false),
  prepareServer: async (location, administrator, user) => prepareServer(await serverSettings(location), administrator, user),
})
await flushOutput()
// A client's connection that will not end, or a worker thread, must not keep an ended command alive.
process.exit()
