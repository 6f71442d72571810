import { readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { ignoring } from '../durable.ts'
import { run, startTime } from './processes.ts'

export type PidFile = {
  readonly pid: number
  readonly port: number
  readonly socketFolder: string
  readonly ready: boolean
  readonly lines: string[]
}

/** `postmaster.pid`: pid, data folder, start time, port, socket folder, TCP address, shared memory key, status. */
export async function readPidFile(cluster: string): Promise<PidFile | undefined> {
  const text = await ignoring(['ENOENT'], readFile(join(cluster, 'postmaster.pid'), 'utf8'))
  if (text === undefined) return undefined
  const lines = text.split('\n')
  const [pid = '', , , port = '', socketFolder = '', , , status = ''] = lines
  return { pid: Number(pid), port: Number(port), socketFolder, ready: status.trim() === 'ready', lines }
}

/** A pid may have gone to another program, in a container above all; a postmaster stands in its own cluster's folder. */
export async function isPostmasterOf(pid: number, cluster: string): Promise<boolean> {
  if ((await startTime(pid)) === undefined) return false
  const folder = await realpath(cluster)
  if (process.platform === 'linux') {
    return (await ignoring(['ENOENT', 'ESRCH', 'EACCES', 'EPERM'], readlink(`/proc/${pid}/cwd`))) === folder
  }
  const shown = await run('ps', ['-o', 'command=', '-p', pid.toString()], {})
  return shown.output.includes(`-D ${cluster} `)
}
