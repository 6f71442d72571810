import { MAX_EVENT_BYTES } from '../../ports/event-log.ts'
import type { EventLog } from '../../ports/event-log.ts'
import { streams } from '../../ports/streams.ts'
import { CALLER_BYTES, EVENT_FRAME_BYTES, createBatches } from './batches.ts'
import type { Caller, Gathering } from './batches.ts'
import { AccessRecorded } from './events.ts'
import type { AccessData, AccessEntry, LoginWay } from './events.ts'
import { createRefusals } from './refusals.ts'
import type { RefusalNote, Refused } from './refusals.ts'

type Done = { readonly caller: Caller; readonly requestId: string }
type Granted = { readonly type: string; readonly name: string; readonly actions: readonly string[] }

/** What is on record before its answer leaves. */
export type Access =
  | (Done & { readonly what: 'login'; readonly by: LoginWay })
  | (Done & { readonly what: 'token'; readonly access: readonly Granted[]; readonly seconds: number; readonly refresh: boolean })
  | (Done & { readonly what: 'reading'; readonly of: 'trail' | 'access'; readonly asked: Readonly<Record<string, string>>; readonly exported: boolean })

export type AccessRecorder = ReturnType<typeof createAccessRecorder>

/**
 * Records who logged in, was issued a token, read the trail or was refused. It has a stream and an appender of its own beside the pulls',
 * so neither waits for the other's batches.
 */
export function createAccessRecorder(options: { readonly log: EventLog; readonly boot: string; readonly now: () => number; readonly timeoutMs: number }) {
  const { boot } = options
  const batches = createBatches<Access | RefusalNote>({ ...options, stream: streams.access(boot), revision: -1, begin: createAccessEvent })
  const refusals = createRefusals({ note: (note) => { batches.note(note) }, anybody: () => ({ kind: 'system', subject: boot }) })

  return {
    /** Resolves once it is durable; rejects with LogUnavailableError where that took too long. */
    record: (access: Access): Promise<void> => batches.record(access),
    /** Notes a refusal without being waited for, or counts it. */
    refuse: (refused: Refused, callerOf: () => Promise<Caller>): void => {
      refusals.refuse(refused, callerOf)
    },
    /** Waits until what was recorded or counted so far is durable, or has failed. */
    async drain(): Promise<void> {
      await refusals.flush()
      await batches.drain()
    },
  }
}

/** An event in the making: callers stand once, whatever number of entries name them. */
function createAccessEvent(at: number): Gathering<Access | RefusalNote> {
  const callers = new Map<Caller, number>()
  const data: AccessData = { callers: [], entries: [] }
  let bytes = EVENT_FRAME_BYTES

  return {
    at,
    fact: () => AccessRecorded(data),
    add(item, time) {
      const known = callers.get(item.caller)
      const entry = entryOf(item, known ?? data.callers.length, Math.max(0, time - at))
      const size = Buffer.byteLength(JSON.stringify(entry)) + 1 + (known === undefined ? CALLER_BYTES + (item.caller.private?.length ?? 0) : 0)
      if (bytes + size >= MAX_EVENT_BYTES && data.entries.length > 0) return 0
      bytes += size
      if (known === undefined) callers.set(item.caller, data.callers.push(item.caller) - 1)
      data.entries.push(entry)
      return size
    },
  }
}

/** Keys in their canonical order: so the codec has nothing to sort. */
function entryOf(item: Access | RefusalNote, caller: number, milliseconds: number): AccessEntry {
  if (!('what' in item)) {
    const { reason, repository, project, action } = item
    const common = { caller, milliseconds, ...(project === undefined ? {} : { project }), reason, ...(repository === undefined ? {} : { repository }) }
    const asked = action === undefined ? {} : { action }
    return 'count' in item
      ? { ...asked, ...common, count: item.count, what: 'refusals' }
      : { ...asked, ...common, request: item.requestId, what: 'refusal' }
  }
  const request = item.requestId
  switch (item.what) {
    case 'login':
      return { by: item.by, caller, milliseconds, request, what: item.what }
    case 'token': {
      const access = item.access.map(({ type, name, actions }) => ({ actions: [...actions], name, type }))
      return { access, caller, milliseconds, ...(item.refresh ? { refresh: true } : {}), request, seconds: item.seconds, what: item.what }
    }
    case 'reading':
      return { asked: { ...item.asked }, caller, ...(item.exported ? { exported: true } : {}), milliseconds, of: item.of, request, what: item.what }
  }
}
