import { setTimeout as sleep } from 'node:timers/promises'
import { CALLS } from './faults.ts'
import type { CallName, Faults } from './faults.ts'
import { forward } from './cluster/forward.ts'
import type { Node } from './node.ts'
import type { Address } from './store/line.ts'
import type { Outcome, Write } from './store/writer.ts'

/** What became of a write, or why it was not tried. */
export type WriteResult =
  | Outcome
  | { readonly kind: 'not-ready' }
  | { readonly kind: 'ending' }
  | { readonly kind: 'not-leader'; readonly leader: Address | undefined }
  /** No answer may be given. */
  | { readonly kind: 'lost' }

type Refused = Extract<WriteResult, { kind: 'not-ready' | 'not-leader' }>

/** What a call brings along beside what it asks. */
export type Caller = {
  isGone(): boolean
  /** It wants no other node than the leader to do it. */
  readonly requiresLeader: boolean
  /** `127.0.0.1:<port>`. */
  readonly peer: string
}

export type Calls = {
  /** Of each kind, how many there have been. */
  readonly counts: Readonly<Record<CallName, number>>
  count(name: CallName): void
  write(name: CallName, write: Write, caller: Caller): Promise<WriteResult>
  /** A write of the server's own, or of another node, that no fault meets. */
  writeOwn(write: Write): Promise<Exclude<WriteResult, { kind: 'lost' }>>
  /** Why a read is not answered, after what delays it. */
  refuseRead(name: CallName, requiresLeader: boolean): Promise<Refused | undefined>
}

/** How calls come to the node, past the faults that somebody set. `cut` breaks the connection of a peer. */
export function createCalls(node: Node, faults: Faults, cut: (peer: string) => void): Calls {
  const counts = Object.fromEntries(CALLS.map((name) => [name, 0])) as Record<CallName, number>

  async function refuse(name: CallName): Promise<Refused | undefined> {
    const delay = faults.meet('delay', name)
    if (delay !== undefined) await sleep(delay.ms)
    if (faults.meet('not-ready', name) !== undefined) return { kind: 'not-ready' }
    const elsewhere = faults.meet('not-leader', name)
    return elsewhere === undefined ? undefined : { kind: 'not-leader', leader: elsewhere.leader }
  }

  function send(write: Write, isAbandoned: () => boolean): Promise<Exclude<WriteResult, { kind: 'lost' }>> {
    const { role } = node
    switch (role.kind) {
      case 'starting':
      case 'unknown':
        return Promise.resolve({ kind: 'not-ready' })
      case 'ending':
        return Promise.resolve({ kind: 'ending' })
      case 'follower':
        return forward(role.leader, write, role.lost.signal)
      case 'leader':
        return role.writer.write(write, isAbandoned)
    }
  }

  function otherLeader(requiresLeader: boolean): Refused | undefined {
    const { role } = node
    return requiresLeader && role.kind === 'follower' ? { kind: 'not-leader', leader: role.leader } : undefined
  }

  return {
    counts,
    count(name) {
      counts[name] += 1
    },
    async write(name, write, caller) {
      const refused = await refuse(name)
      if (refused !== undefined) return refused
      const elsewhere = otherLeader(caller.requiresLeader)
      if (elsewhere !== undefined) return elsewhere
      const lost = faults.meet('lost-answer', name)
      const result = lost?.written === false ? undefined : await send(write, () => caller.isGone())
      if (lost === undefined && result !== undefined) return result
      if (lost?.cut === true) cut(caller.peer)
      return { kind: 'lost' }
    },
    writeOwn: (write) => send(write, () => false),
    async refuseRead(name, requiresLeader) {
      const refused = await refuse(name)
      if (refused !== undefined) return refused
      const { role } = node
      // A leader that was frozen may have been deposed, and not know it.
      const serves = role.kind === 'follower' || (role.kind === 'leader' && role.term.stands())
      return serves ? otherLeader(requiresLeader) : { kind: 'not-ready' }
    },
  }
}
