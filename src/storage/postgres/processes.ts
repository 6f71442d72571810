import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { ignoring } from '../durable.ts'
import { ids } from './identity.ts'

/** Not ours: a PGDATA or PGPORT of the caller's would be obeyed, and our secrets need not stand in another process. */
export const CHILD_ENV = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }

/** Runs a program to its end; `output` is what it wrote on both of its outputs. */
export function run(
  program: string, parameters: readonly string[], options: { readonly uid?: number; readonly gid?: number; readonly cwd?: string },
): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((done, failed) => {
    const child = spawn(program, parameters, {
      ...ids(options),
      cwd: options.cwd ?? '/',
      env: CHILD_ENV,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    function keep(part: Buffer): void {
      output += part.toString()
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', failed)
    child.on('close', (code) => {
      done({ code, output })
    })
  })
}

/** When a process started, in whatever words the system has for it: with the pid, it names one process. Undefined: it is over. */
export async function startTime(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') {
    const shown = await run('ps', ['-o', 'lstart=', '-p', pid.toString()], {})
    return shown.code === 0 ? shown.output.trim() : undefined
  }
  const text = await ignoring(['ENOENT', 'ESRCH'], readFile(`/proc/${pid}/stat`, 'utf8'))
  if (text === undefined) return undefined
  // The second field is a name that may hold spaces and brackets; the third is the state, the 22nd the start time.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}
