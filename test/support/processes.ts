import { readFileSync, readdirSync } from 'node:fs'

/** The processes that a process started and that are not over. A kernel need not have /proc/<pid>/task/<tid>/children. */
export function childrenOf(pid: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
  return all.filter((each) => statOf(each)?.parent === pid)
}

/** A bare Debian has no `ps`. The name in `stat` is in brackets and may hold spaces; state and parent are the next two words. */
export function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const [state = '', parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    return { state, parent: Number(parent) }
  } catch {
    // It ended meanwhile.
    return undefined
  }
}
