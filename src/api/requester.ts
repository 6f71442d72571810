import { LRUCache } from 'lru-cache'
import type { Caller } from '../commands/activity/batches.ts'
import type { Subject } from '../commands/access/rights.ts'
import type { CommandContext } from '../commands/handle.ts'
import type { Sealer } from '../ports/key-store.ts'
import type { AuthRefusal, Authenticate, Identified } from './authenticate.ts'
import type { RequestHead } from './request-head.ts'

/** Who makes a request, whichever door it came to. */
export type Requester = Identified & {
  /** As it stands in the log. */
  readonly caller: Caller
  readonly requestId: string
  /** Aborts when the log has taken longer than a request waits for. */
  readonly command: () => CommandContext
}

export type Identify = (request: RequestHead, requestId: string) => Promise<Requester | AuthRefusal>

/** How long an append may take before its caller is told 503: a leader election must not break a docker push. */
const LOG_PATIENCE_MS = 10_000
const MAX_USER_AGENT = 256

/** Finds out who makes a request, and how what they do is told to the log. */
export function createIdentify(options: {
  readonly authenticate: Authenticate
  readonly sealer: Sealer
  readonly addressOf: (request: RequestHead) => string
  readonly now: () => Date
}): Identify {
  const { authenticate, sealer, addressOf, now } = options
  const callerOf = createCallers(sealer)

  return async (request, requestId) => {
    const address = addressOf(request)
    const identified = await authenticate(request, address)
    if ('refused' in identified) return identified
    const caller = await callerOf(identified.subject, address, storable(request.headers['user-agent'] ?? ''))
    return {
      ...identified,
      caller,
      requestId,
      command: () => ({
        actor: { kind: caller.kind, subject: caller.subject },
        ...(caller.private === undefined ? {} : { private: caller.private }),
        requestId,
        now,
        signal: AbortSignal.timeout(LOG_PATIENCE_MS),
      }),
    }
  }
}

/** One caller object for the same person, address and agent: pulls in a batch share it, and its sealed part is made once. */
function createCallers(sealer: Sealer) {
  const known = new LRUCache<string, Caller>({ max: 10_000 })
  return async (who: Subject, address: string, userAgent: string): Promise<Caller> => {
    const name = who.kind === 'anonymous' ? '' : who.name
    // Neither an id nor an address holds a space, and no name a line's end.
    const key = `${who.id} ${address} ${name}\n${userAgent}`
    const found = known.get(key)
    if (found !== undefined) return found
    const clear = JSON.stringify({ ...(who.kind === 'anonymous' ? {} : { name }), address, userAgent })
    const caller: Caller = { kind: who.kind, private: await sealer.seal(who.id, clear), subject: who.id }
    known.set(key, caller)
    return caller
  }
}

/** The user agent as it can be stored: well-formed, without U+0000, not endless. */
function storable(text: string): string {
  return text.slice(0, MAX_USER_AGENT).replaceAll('\u0000', '\ufffd').toWellFormed()
}
