import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** Runs record.mjs --compare against a server: all of it, or the scenarios with a text in their names. */
export async function compareAnswers(url: string, only?: string): Promise<{ readonly output: string; readonly code: number | null }> {
  const args = [join(import.meta.dirname, 'record.mjs'), url, '--compare']
  const env = only === undefined ? process.env : { ...process.env, ONLY: only }
  const child = spawn(process.execPath, args, { cwd: join(import.meta.dirname, '../..'), env, stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { output, code }
}
