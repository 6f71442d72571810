import type { Command } from 'commander'
import type { From } from '../ports/event-log.ts'
import type { Recorded } from '../ports/event.ts'
import type { Opened, WithRegistry } from './opened.ts'
import { outputGone, print } from './output.ts'
import { misused } from './usage.ts'

export function tailCommand(program: Command, withRegistry: WithRegistry): void {
  program
    .command('log')
    .description('look at the event log')
    .command('tail')
    .description('print events as JSON lines, the last ones first to come')
    .option('-n, --lines <count>', 'how many events back to begin', '10')
    .option('--from <position>', 'begin after this position instead')
    .option('-f, --follow', 'go on as events come')
    .action(withRegistry(tail))
}

async function tail({ log }: Opened, options: { lines: string; from?: string; follow?: boolean }): Promise<number> {
  const from = await beginning(log, options)
  if (options.follow !== true) {
    for await (const recorded of log.readAll(['state', 'activity'], from)) {
      await print(lineOf(recorded))
      if (outputGone()) break
    }
    return 0
  }
  const end = new AbortController()
  process.once('SIGINT', () => {
    end.abort()
  })
  process.once('SIGTERM', () => {
    end.abort()
  })
  for await (const delivery of log.subscribe(['state', 'activity'], from, end.signal)) {
    if (delivery.kind === 'event') await print(lineOf(delivery.recorded))
    if (outputGone()) break
  }
  return 0
}

async function beginning(log: Opened['log'], options: { lines: string; from?: string }): Promise<From> {
  if (options.from !== undefined) {
    const resolved = await log.resolve(options.from)
    return resolved.status === 'resolved' ? { after: resolved.position } : misused(resolved.reason)
  }
  if (!/^\d{1,9}$/.test(options.lines)) misused('--lines is a number')
  return log.fromLast(Number(options.lines))
}

function lineOf({ position: at, stream, revision, hash, event }: Recorded): string {
  return `${JSON.stringify({ position: at, stream, revision, hash, ...event })}\n`
}
