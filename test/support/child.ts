import { spawn } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'

/**
 * Starts a program and answers once its output says that it is ready. Rejects, with what it wrote, where it ends before or takes too long,
 * and ends it then. `onOutput` is told of all that it writes, as long as it runs.
 */
export async function startChild(options: {
  readonly name: string
  readonly command: readonly string[]
  readonly env?: SpawnOptions['env']
  readonly withinMs: number
  readonly isReady: (output: string) => boolean
  readonly onOutput: (text: string) => void
}): Promise<ChildProcess> {
  const { name, command, env = process.env, withinMs, isReady, onOutput } = options
  const [program = '', ...args] = command
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${name} did not start in ${withinMs} ms:\n${output}`))
    }, withinMs)
    let ready = false
    const take = (chunk: Buffer): void => {
      onOutput(chunk.toString())
      if (ready) return
      output += chunk.toString()
      ready = isReady(output)
      if (!ready) return
      clearTimeout(timer)
      resolve()
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`${name} ended with ${String(code)}:\n${output}`))
    })
  })
  return child
}

export const isAlive = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null

/** Sends a signal and waits for the end; one that does not come in time would keep the tests from ending, and is forced. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, withinMs: number): Promise<void> {
  if (!isAlive(child)) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
  await ended
  clearTimeout(timer)
}
