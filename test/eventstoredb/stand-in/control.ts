import { CALLS } from './faults.ts'
import type { CallName, Fault, Faults } from './faults.ts'
import type { Calls } from './calls.ts'
import type { OwnResult } from './cluster/writes.ts'
import type { Node } from './node.ts'
import type { OpenCalls } from './rpc/open-calls.ts'
import type { Subscriptions } from './rpc/outlet.ts'
import { notReady } from './rpc/refusals.ts'
import type { Write } from './store/writer.ts'

/** What is done once, at once. */
export type Action =
  /** Ends all subscriptions: in order, or with an error that says that the server is not ready. */
  | { readonly kind: 'drop-subscriptions'; readonly how: 'in-order' | 'error' }
  /** Ends all calls without a status. */
  | { readonly kind: 'reset-calls' }
  /** Breaks all connections. */
  | { readonly kind: 'cut-connections' }
  /** Of a leader: lets another node lead. */
  | { readonly kind: 'resign' }

/** What the server tells of itself. */
export type Status = {
  readonly pid: number
  readonly state: string
  readonly calls: Readonly<Record<CallName, number>>
  readonly subscriptions: number
  /** How many events subscriptions were sent. */
  readonly eventsSent: number
  readonly faults: readonly Fault[]
}

/** The door for a test, beside that for clients. */
export type Control = {
  status(): Status
  addFault(fault: Fault): void
  clearFaults(): void
  act(action: Action): Promise<void>
  /** A write that another node hands on. */
  write(write: Write): Promise<OwnResult>
}

export type Controlled = {
  readonly node: Node
  readonly faults: Faults
  readonly calls: Calls
  readonly subscriptions: Subscriptions
  readonly openCalls: OpenCalls
  readonly cutAll: () => void
}

export function createControl({ node, faults, calls, subscriptions, openCalls, cutAll }: Controlled): Control {
  return {
    status: () => ({
      pid: process.pid,
      state: node.role.kind,
      calls: calls.counts,
      subscriptions: subscriptions.open.size,
      eventsSent: subscriptions.eventsSent(),
      faults: faults.list(),
    }),
    addFault(fault) {
      faults.add(fault)
    },
    clearFaults() {
      faults.clear()
    },
    async act(action) {
      switch (action.kind) {
        case 'drop-subscriptions':
          subscriptions.drop(action.how === 'error' ? notReady() : undefined)
          break
        case 'reset-calls':
          await openCalls.reset()
          break
        case 'cut-connections':
          cutAll()
          break
        case 'resign':
          await node.resign()
          break
      }
    },
    write: (write) => calls.writeOwn(write),
  }
}

/** An order that makes no sense. */
export class OrderError extends Error {
  override readonly name = 'OrderError'
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw new OrderError('an order is an object')
  return value as Fields
}

export function parseFault(value: unknown): Fault {
  const fields = fieldsOf(value)
  const common = { ...parseCalls(fields['calls']), ...(fields['times'] === undefined ? {} : { times: numberOf(fields, 'times') }) }
  switch (fields['kind']) {
    case 'not-ready':
      return { ...common, kind: 'not-ready' }
    case 'not-leader': {
      if (fields['leader'] === undefined) return { ...common, kind: 'not-leader' }
      const leader = fieldsOf(fields['leader'])
      return { ...common, kind: 'not-leader', leader: { host: String(leader['host']), port: numberOf(leader, 'port') } }
    }
    case 'lost-answer':
      return { ...common, kind: 'lost-answer', written: fields['written'] === true, cut: fields['cut'] === true }
    case 'delay':
      return { ...common, kind: 'delay', ms: numberOf(fields, 'ms') }
    case 'twice':
      return { ...common, kind: 'twice' }
    default:
      throw new OrderError(`an unknown fault: ${JSON.stringify(value)}`)
  }
}

export function parseAction(value: unknown): Action {
  const { kind, how } = fieldsOf(value)
  if (kind === 'reset-calls' || kind === 'cut-connections' || kind === 'resign') return { kind }
  if (kind === 'drop-subscriptions' && (how === 'in-order' || how === 'error')) return { kind, how }
  throw new OrderError(`an unknown action: ${JSON.stringify(value)}`)
}

function parseCalls(value: unknown): { readonly calls?: readonly CallName[] } {
  if (value === undefined) return {}
  const calls = Array.isArray(value) ? value.flatMap((name) => CALLS.filter((each) => each === name)) : []
  if (calls.length === 0) throw new OrderError(`unknown calls: ${JSON.stringify(value)}`)
  return { calls }
}

function numberOf(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number') throw new OrderError(`${name} is no number`)
  return value
}
