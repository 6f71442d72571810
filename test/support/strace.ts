import { execFileSync } from 'node:child_process'
import { describe } from '@jest/globals'

/** A system call as strace saw it: where in the order of all lines it began, and where it was done. */
export type Call = { readonly name: string; readonly text: string; readonly began: number; readonly done: number }

/** The calls of a trace that `strace -f -o` wrote, in the order in which they began. */
export function parseTrace(trace: string): Call[] {
  const calls: Call[] = []
  const open = new Map<string, { name: string; text: string; began: number }>()
  for (const [line, text] of trace.split('\n').entries()) {
    const [, pid = '', rest = ''] = /^(\d+) +(.*)$/.exec(text) ?? []
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest)
    if (resumed !== null) {
      const begun = open.get(pid)
      if (begun !== undefined) calls.push({ ...begun, text: `${begun.text}${resumed[2] ?? ''}`, done: line })
      open.delete(pid)
      continue
    }
    const [, name = ''] = /^(\w+)\(/.exec(rest) ?? []
    if (name === '') continue
    if (rest.endsWith('<unfinished ...>')) open.set(pid, { name, text: rest, began: line })
    else calls.push({ name, text: rest, began: line, done: line })
  }
  return calls.sort((a, b) => a.began - b.began)
}

/** `describe` where the machine has strace, and may use it; else the suite is skipped. */
export const describeWithStrace = straceHere() ? describe : describe.skip

function straceHere(): boolean {
  try {
    execFileSync('strace', ['-o', '/dev/null', '-f', 'true'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
