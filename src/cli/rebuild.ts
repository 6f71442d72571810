import type { Command } from 'commander'
import { rebuild, verify } from '../projections/rebuild.ts'
import type { Rebuilding } from '../projections/rebuild.ts'
import type { Opened, WithRegistry } from './opened.ts'
import { startProgress } from './progress.ts'
import type { ProgressLine } from './progress.ts'

export function rebuildCommand(program: Command, withRegistry: WithRegistry): void {
  program
    .command('rebuild')
    .description('build the read models anew from the log, while pulls and pushes go on')
    .option('--verify', 'build them aside, compare with the live ones table by table, and say what differs (exit code 1)')
    .action(withRegistry((opened, options: { verify?: boolean }) => run(opened, options.verify === true)))
}

async function run({ pool, log, reads, serverRuns }: Opened, verifyOnly: boolean): Promise<number> {
  const lines = new Map<string, ProgressLine>()
  const rebuilding: Rebuilding = {
    pool,
    log,
    reads,
    onProgress(group, done, total) {
      const line = lines.get(group) ?? startProgress(group, 'positions')
      lines.set(group, line)
      line.update(Number(done), Number(total))
    },
  }
  try {
    if (!verifyOnly) {
      const { version, foldSeconds, indexSeconds } = await rebuild(rebuilding, serverRuns)
      process.stdout.write(
        `the read models were rebuilt: version ${version} is live (folded in ${foldSeconds.toFixed(1)} s, indexes made in ${indexSeconds.toFixed(1)} s)\n`,
      )
      return 0
    }
    const differences = await verify(rebuilding)
    for (const { table, live, rebuilt } of differences) {
      process.stdout.write(`${table} differs\n`)
      for (const line of live) process.stdout.write(`  only live:    ${line}\n`)
      for (const line of rebuilt) process.stdout.write(`  only rebuilt: ${line}\n`)
    }
    process.stdout.write(differences.length === 0 ? 'the read models are what the log says\n' : `${differences.length} tables differ\n`)
    return differences.length === 0 ? 0 : 1
  } finally {
    for (const line of lines.values()) line.end()
  }
}
