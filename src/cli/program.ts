import { Command, CommanderError } from 'commander'
import { ConfigError } from '../config.ts'
import type { Config } from '../config.ts'
import { accessCommand } from './access.ts'
import { auditCommand } from './audit.ts'
import { eventStoreCommand } from './eventstoredb.ts'
import { fsckCommand } from './fsck.ts'
import type { CliContext, Opened, WithRegistry } from './opened.ts'
import { rebuildCommand } from './rebuild.ts'
import { subjectCommand } from './subject.ts'
import { tailCommand } from './tail.ts'
import { UsageError } from './usage.ts'
import { userCommand } from './user.ts'

/** Exit codes: 0 done, 1 what was looked for is wrong (a difference, a corrupt blob), 2 bad usage or configuration, 3 it failed. */
const EXIT = { ok: 0, wrong: 1, usage: 2, failed: 3 } as const

/** Runs one command and answers its exit code. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let code: number = EXIT.ok
  const program = new Command('varve').description('A container registry whose truth is an event log').exitOverride()

  /** Wraps an action that works on the opened registry: whatever happens, it is closed. */
  const withRegistry: WithRegistry =
    <A extends unknown[]>(act: (opened: Opened, ...args: A) => Promise<number>) =>
    async (...args: A): Promise<void> => {
      const opened = await context.open(context.config())
      try {
        code = await act(opened, ...args)
      } finally {
        await opened.close()
      }
    }

  program
    .command('serve')
    .description('run the registry')
    .action(async () => {
      await context.serve(context.config())
    })
  program
    .command('version')
    .description('print the release')
    .action(() => {
      process.stdout.write(`${context.release}\n`)
    })
  rebuildCommand(program, withRegistry)
  tailCommand(program, withRegistry)
  auditCommand(program, withRegistry)
  accessCommand(program, withRegistry)
  subjectCommand(program, withRegistry)
  userCommand(program, withRegistry)
  fsckCommand(program, withRegistry)
  const withConfig = async (act: (config: Config) => Promise<number>): Promise<void> => {
    code = await act(context.config())
  }
  eventStoreCommand(program, withConfig, context.prepareServer)

  try {
    await program.parseAsync(['node', 'varve', ...args])
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (error instanceof ConfigError) {
      process.stderr.write(`varve: the configuration is wrong:\n${error.problems.map((each) => `  ${each.variable} ${each.message}`).join('\n')}\n`)
      return EXIT.usage
    }
    process.stderr.write(`varve: ${error instanceof Error ? messageOf(error) : String(error)}\n`)
    return error instanceof UsageError ? EXIT.usage : EXIT.failed
  }
}

function messageOf(error: Error): string {
  // What failed first tells more than what could not be closed because of it.
  if (error instanceof SuppressedError && error.suppressed instanceof Error) return messageOf(error.suppressed)
  return error.cause instanceof Error ? `${error.message}: ${messageOf(error.cause)}` : error.message
}
