import type { Address } from './store/line.ts'

export const CALLS = ['append', 'batchAppend', 'read', 'subscribe', 'delete', 'tombstone'] as const
export type CallName = (typeof CALLS)[number]

/** What happens to calls instead of what should, until it is cleared or has happened `times` times; to every call where none is named. */
export type Fault = { readonly calls?: readonly CallName[]; readonly times?: number } & (
  | { readonly kind: 'not-ready' }
  /** Without a leader: the node does not know who leads. */
  | { readonly kind: 'not-leader'; readonly leader?: Address }
  /** Of a write: it is made, or it is not, and no answer comes. `cut` breaks the client's connection in its stead. */
  | { readonly kind: 'lost-answer'; readonly written: boolean; readonly cut?: boolean }
  | { readonly kind: 'delay'; readonly ms: number }
  /** A subscription gives an event twice. */
  | { readonly kind: 'twice' }
)

export type FaultOf<Kind extends Fault['kind']> = Extract<Fault, { kind: Kind }>

export type Faults = {
  add(fault: Fault): void
  clear(): void
  list(): readonly Fault[]
  /** The oldest fault of a kind that meets a call; it has happened once more then. */
  meet<Kind extends Fault['kind']>(kind: Kind, call: CallName): FaultOf<Kind> | undefined
}

export function createFaults(): Faults {
  let standing: { readonly fault: Fault; left: number }[] = []
  return {
    add(fault) {
      standing.push({ fault, left: fault.times ?? Infinity })
    },
    clear() {
      standing = []
    },
    list: () => standing.map(({ fault }) => fault),
    meet<Kind extends Fault['kind']>(kind: Kind, call: CallName) {
      const met = standing.find(({ fault }) => fault.kind === kind && (fault.calls?.includes(call) ?? true))
      if (met === undefined) return undefined
      met.left -= 1
      if (met.left === 0) standing = standing.filter((each) => each !== met)
      return met.fault as FaultOf<Kind>
    },
  }
}
