import { LRUCache } from 'lru-cache'
import type { Caller } from '../commands/activity/batches.ts'
import type { RefusalReason } from '../commands/activity/events.ts'
import type { AccessRecorder } from '../commands/activity/record-access.ts'
import type { Subject } from '../commands/access/rights.ts'
import type { CommandContext } from '../commands/handle.ts'
import { ForgottenError } from '../ports/key-store.ts'
import type { Sealed, Sealer } from '../ports/key-store.ts'
import { REQUEST_PATIENCE_MS } from '../ports/patience.ts'
import { networkOf } from '../identity/network.ts'
import { reasonOf } from './refusals.ts'
import type { AuthRefusal, Authenticate, Identified } from './authenticate.ts'
import type { LoggedIn, Login } from './login.ts'
import type { RequestHead } from './request-head.ts'

/** Who makes a request, whichever door it came to. */
export type Requester = Identified & {
  /** As it stands in the log. */
  readonly caller: Caller
  readonly address: string
  readonly requestId: string
  /** Aborts when the log has taken longer than a request waits for. */
  readonly command: () => CommandContext & { readonly signal: AbortSignal }
}

export type Identify = (request: RequestHead, requestId: string) => Promise<Requester | AuthRefusal>

/** Who makes a request whose credentials were looked at already. */
export type Introduce = (request: RequestHead, requestId: string, found: Identified | AuthRefusal) => Promise<Requester | AuthRefusal>

const MAX_USER_AGENT = 256

/**
 * Finds out who makes a request, and how what they do is told to the log. Who logged in just now is on record before they are answered;
 * who was not let in is noted, or counted.
 */
export function createIdentify(options: {
  readonly authenticate: Authenticate
  readonly access: Pick<AccessRecorder, 'record' | 'refuse'>
  readonly sealer: Sealer
  /** Anonymous callers share subjects, told by their address. */
  readonly anonymous: (address: string) => Subject
  readonly addressOf: (request: RequestHead) => string
  readonly now: () => Date
}): { readonly identify: Identify; readonly introduce: Introduce } {
  const { authenticate, access, sealer, anonymous, addressOf, now } = options
  const callerOf = createCallers(sealer)

  async function introduceFrom(address: string, request: RequestHead, requestId: string, found: Identified | AuthRefusal): Promise<Requester | AuthRefusal> {
    const agent = storable(request.headers['user-agent'] ?? '')
    const refuse = (login: Login | undefined, reason: RefusalReason): void => {
      const who = login ?? anonymous(address)
      // Of somebody who was forgotten nothing can be sealed any more.
      access.refuse({ source: login?.id ?? networkOf(address), reason, requestId }, async () => {
        try {
          return await callerOf(who, address, agent)
        } catch {
          return { kind: who.kind, subject: who.id }
        }
      })
    }
    if ('refused' in found) {
      refuse(found.reason === 'token' && found.why === 'ended' ? found.login : undefined, reasonOf(found))
      return found
    }
    if (found.ended !== undefined) refuse(found.ended === 'unknown' ? undefined : found.ended, 'session')
    const { subject, by, recorded } = found
    const caller = await callerOf(subject, address, agent)
    if (by !== undefined) await recordLogin(access, { by, recorded, caller, requestId })
    return {
      ...found,
      caller,
      address,
      requestId,
      command: () => ({
        actor: { kind: caller.kind, subject: caller.subject },
        ...(caller.private === undefined ? {} : { private: caller.private }),
        requestId,
        now,
        signal: AbortSignal.timeout(REQUEST_PATIENCE_MS),
      }),
    }
  }

  return {
    introduce: (request, requestId, found) => introduceFrom(addressOf(request), request, requestId, found),
    async identify(request, requestId) {
      const address = addressOf(request)
      return introduceFrom(address, request, requestId, await authenticate(request, address))
    },
  }
}

/** Puts a login on record; only then is it remembered as none to be recorded again. */
export async function recordLogin(
  access: Pick<AccessRecorder, 'record'>,
  { recorded, ...login }: Pick<LoggedIn, 'by' | 'recorded'> & { readonly caller: Caller; readonly requestId: string },
): Promise<void> {
  await access.record({ what: 'login', ...login })
  recorded?.()
}

type Who = { readonly kind: Subject['kind']; readonly id: string; readonly name?: string }

/** One caller object for the same person, address and agent: pulls in a batch share it, and its sealed part is made once. */
function createCallers(sealer: Sealer) {
  const known = new LRUCache<string, Caller>({ max: 10_000 })
  return (who: Who, address: string, userAgent: string): Caller | Promise<Caller> => {
    // Neither an id nor an address holds a space, and no name a line's end.
    const key = `${who.id} ${address} ${who.name ?? ''}\n${userAgent}`
    return known.get(key) ?? make(key, who, JSON.stringify({ name: who.name, address, userAgent }))
  }

  async function make(key: string, who: Who, clear: string): Promise<Caller> {
    const sealed = await sealedFor(who, clear)
    const caller: Caller = { kind: who.kind, ...(sealed === undefined ? {} : { private: sealed }), subject: who.id }
    known.set(key, caller)
    return caller
  }

  /** Undefined where the key that callers without a login share went with somebody who was forgotten: they are served all the same. */
  async function sealedFor({ kind, id }: Who, clear: string): Promise<Sealed | undefined> {
    try {
      return await sealer.seal(id, clear)
    } catch (error) {
      if (kind === 'anonymous' && error instanceof ForgottenError) return undefined
      throw error
    }
  }
}

/** The user agent as it can be stored: well-formed, without U+0000, not endless. */
function storable(text: string): string {
  return text.slice(0, MAX_USER_AGENT).replaceAll('\u0000', '\ufffd').toWellFormed()
}
