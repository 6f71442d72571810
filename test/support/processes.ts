import { readFileSync, readdirSync } from 'node:fs'

/** The processes that a process started and that are not over. A kernel need not have /proc/<pid>/task/<tid>/children. */
export function childrenOf(pid: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
  return all.filter((each) => parentOf(each) === pid)
}

/** A bare Debian has no `ps`. The name in `stat` is in brackets and may hold spaces; the parent is the second word after it. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1])
  } catch {
    // It ended meanwhile.
    return undefined
  }
}
