import { setTimeout as sleep } from 'node:timers/promises'
import { CALLS } from './faults.ts'
import type { CallName, Faults } from './faults.ts'
import type { Address, Node } from './node.ts'
import type { Outcome, Write } from './store/writer.ts'

/** What became of a write, or why it was not tried. */
export type WriteResult =
  | Outcome
  | { readonly kind: 'not-ready' }
  | { readonly kind: 'ending' }
  | { readonly kind: 'not-leader'; readonly leader: Address | undefined }
  /** No answer may be given. */
  | { readonly kind: 'lost' }

/** What a call brings along beside what it asks. */
export type Caller = {
  isGone(): boolean
  /** `127.0.0.1:<port>`. */
  readonly peer: string
}

export type Calls = {
  /** Of each kind, how many there have been. */
  readonly counts: Readonly<Record<CallName, number>>
  count(name: CallName): void
  write(name: CallName, write: Write, caller: Caller): Promise<WriteResult>
  /** A write of the server's own, that no fault meets. */
  writeOwn(write: Write): Promise<Exclude<WriteResult, { kind: 'lost' }>>
  /** Why a read is not answered, after what delays it. */
  refuseRead(name: CallName): Promise<Extract<WriteResult, { kind: 'not-ready' | 'not-leader' }> | undefined>
}

/** How calls come to the node, past the faults that somebody set. `cut` breaks the connection of a peer. */
export function createCalls(node: Node, faults: Faults, cut: (peer: string) => void): Calls {
  const counts = Object.fromEntries(CALLS.map((name) => [name, 0])) as Record<CallName, number>

  async function refuse(name: CallName): Promise<Extract<WriteResult, { kind: 'not-ready' | 'not-leader' }> | undefined> {
    const delay = faults.meet('delay', name)
    if (delay !== undefined) await sleep(delay.ms)
    if (faults.meet('not-ready', name) !== undefined) return { kind: 'not-ready' }
    const elsewhere = faults.meet('not-leader', name)
    return elsewhere === undefined ? undefined : { kind: 'not-leader', leader: elsewhere.leader }
  }

  function send(write: Write, isAbandoned: () => boolean): Promise<Exclude<WriteResult, { kind: 'lost' }>> {
    const { role } = node
    if (role.kind === 'starting') return Promise.resolve({ kind: 'not-ready' })
    if (role.kind === 'ending') return Promise.resolve({ kind: 'ending' })
    return role.writer.write(write, isAbandoned)
  }

  return {
    counts,
    count(name) {
      counts[name] += 1
    },
    async write(name, write, caller) {
      const refused = await refuse(name)
      if (refused !== undefined) return refused
      if (node.role.kind !== 'leader') return send(write, () => caller.isGone())
      const lost = faults.meet('lost-answer', name)
      const result = lost?.written === false ? undefined : await send(write, () => caller.isGone())
      if (lost === undefined && result !== undefined) return result
      if (lost?.cut === true) cut(caller.peer)
      return { kind: 'lost' }
    },
    writeOwn: (write) => send(write, () => false),
    async refuseRead(name) {
      const refused = await refuse(name)
      return refused ?? (node.role.kind === 'leader' ? undefined : { kind: 'not-ready' })
    },
  }
}
