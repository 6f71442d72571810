import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** Runs a client of this folder in a process of its own; it is given its task, and answers, as one JSON document. */
export async function runClient(name: 'repeat' | 'storm', task: object): Promise<unknown> {
  const args = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, `${name}.ts`), JSON.stringify(task)]
  return JSON.parse(await outputOf(process.execPath, args))
}

/** What a program wrote to its standard output. Throws where it ended with anything but 0. */
export async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${stderr}${stdout}`)
  return stdout
}
