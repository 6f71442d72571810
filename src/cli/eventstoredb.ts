import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import type { Config, EventStoreLocation } from '../config.ts'
import { misused } from './usage.ts'

export type Account = { readonly name: string; readonly password: string }

/** Makes the user of VARVE_LOG and sets the rights of all streams; main knows how. */
export type PrepareServer = (
  location: EventStoreLocation,
  administrator: Account,
  user: Account,
) => Promise<{ readonly user: 'made' | 'there'; readonly rights: 'set' | 'there'; readonly before?: unknown }>

type Options = { readonly admin: string; readonly passwordFile: string; readonly wholeServer?: boolean }

const WARNING = `This sets the rights that ALL streams of the server have by default, also those of others on it: the user of VARVE_LOG and $admins
read and append everywhere; only $admins delete, and change what is kept. Say --whole-server where you want that.
`

export function eventStoreCommand(program: Command, act: (work: (config: Config) => Promise<number>) => Promise<void>, prepare: PrepareServer): void {
  program
    .command('eventstoredb')
    .description('prepare an EventStoreDB for the log')
    .command('prepare')
    .description('make the user of VARVE_LOG, who may append and read, and not delete, tombstone or change what is kept')
    .option('--admin <name>', 'an administrator of the server', 'admin')
    .requiredOption('--password-file <file>', "the administrator's password: a file, or - for standard input")
    .option('--whole-server', 'set the rights of all streams of the server, which is how it is done')
    .action((options: Options) => act((config) => run(config, options, prepare)))
}

async function run({ log }: Config, { admin, passwordFile, wholeServer }: Options, prepare: PrepareServer): Promise<number> {
  if (log?.kind !== 'eventstoredb') misused('VARVE_LOG names no EventStoreDB')
  if (log.tls === undefined) misused('rights are kept over TLS only: a server without it asks nobody who he is')
  if (log.user === undefined) misused('VARVE_LOG names no user to make')
  if (wholeServer !== true) misused(WARNING.trimEnd())
  const password = (passwordFile === '-' ? await text(process.stdin) : await readFile(passwordFile, 'utf8')).replace(/\r?\n$/, '')
  const prepared = await prepare(log, { name: admin, password }, log.user)
  process.stdout.write(prepared.user === 'made' ? `the user ${log.user.name} was made\n` : `the user ${log.user.name} was there already\n`)
  process.stdout.write(prepared.rights === 'set' ? 'the rights of all streams were set\n' : 'the rights of all streams were so already\n')
  if (prepared.before !== undefined) process.stdout.write(`before, they were ${JSON.stringify(prepared.before)}\n`)
  return 0
}
