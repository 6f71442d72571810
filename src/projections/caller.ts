import { hash } from 'node:crypto'
import type { Sealed } from '../ports/key-store.ts'
import { put } from './projection.ts'
import type { Change, Column, FoldContext, PrivatePart, Table } from './projection.ts'

/**
 * Who did something, from where and with what: once for each sealed part that ever stood in an event, so that nobody shares a row with
 * somebody else. What is personal stands in clear here and nowhere else of the trail: to forget somebody is to blank their rows.
 */
export const callers: Table = {
  name: 'callers',
  columns: { subject: 'text', caller: { numbered: 'caller_keys' }, name: 'text', address: 'text', agent: 'text' },
  key: ['subject', 'caller'],
  // What was blanked stays so, whatever comes after.
  keep: ['name', 'address', 'agent'],
  personal: true,
  indexes: ['unique (caller)', '(name) where name is not null'],
}

/** Who it was, as other tables name them, and by which request. */
export const callerColumns = { caller: { numbered: 'caller_keys' }, request: 'text' } as const satisfies Record<string, Column>

type Who = { readonly kind: string; readonly subject: string; readonly private?: Sealed }

type Caller = { readonly caller: string; readonly change: Change }

/** Of the opened parts that a reader remembers: one caller makes many pulls, and the hash of their sealed part is the dearest step of a fold. */
const known = new WeakMap<PrivatePart, Caller>()

/** What a row says in `caller`, and the caller's own row: the same object again for the same part, so that a batch holds it once. */
export function callerOf({ kind, subject, private: sealed }: Who, context: FoldContext): Caller {
  const opened = context.opened(sealed)
  const before = opened && known.get(opened)
  if (before !== undefined) return before
  const who = subjectKey(kind, subject)
  // Told by what is in the log, not by what it says: forgetting changes no number.
  const caller = sealed === undefined ? who : hash('sha256', sealed, 'base64url')
  const row = { subject: who, caller, name: opened?.name ?? null, address: opened?.address ?? null, agent: opened?.userAgent ?? null }
  const made = { caller, change: put(callers, row) }
  if (opened !== undefined) known.set(opened, made)
  return made
}

/** How a subject stands in `callers`. */
export function subjectKey(kind: string, subject: string): string {
  return `${kind}:${subject}`
}
