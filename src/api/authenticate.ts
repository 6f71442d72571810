import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Subject } from '../commands/rights.ts'
import type { UserFact } from '../commands/user/events.ts'
import { makeArgon2Verifier, matchesArgon2, parseVerifier } from '../identity/passwords/schemes.ts'
import type { Event } from '../ports/event.ts'
import type { EventLog } from '../ports/event-log.ts'
import type { Sealer } from '../ports/key-store.ts'
import { streams } from '../ports/streams.ts'

export type Authenticated = Subject & { readonly name: string }
export type Authenticate = (authorization: string | undefined) => Promise<Authenticated | undefined>

/** How long a verified password is remembered: argon2 at each request would sink a storm of pulls. */
const REMEMBERED_MS = 60_000

/**
 * HTTP Basic against the users of the log. What was verified is remembered by a keyed hash of the header, never in clear; requests
 * with the same header share one verification; an unknown name costs what a known one does.
 */
export async function createAuthenticator(log: EventLog, sealer: Sealer): Promise<Authenticate> {
  const users = new Map<string, { readonly subject: Authenticated; readonly verifier: string }>()
  for await (const { event } of log.readStream(streams.users, -1)) {
    const { data } = event as Event<UserFact>
    const [name, verifier] = [await sealer.open(data.name), await sealer.open(data.verifier)]
    if (name === undefined || verifier === undefined) continue
    users.set(name, { subject: { id: data.user, name, administrator: data.administrator }, verifier })
  }
  const nobody = await makeArgon2Verifier(randomBytes(16).toString('hex'))
  const hashKey = randomBytes(32).toString('hex')
  const remembered = new LRUCache<string, Authenticated>({ max: 1_000, ttl: REMEMBERED_MS })
  const underWay = new Map<string, Promise<Authenticated | undefined>>()

  async function verify(authorization: string, key: string): Promise<Authenticated | undefined> {
    const decoded = Buffer.from(authorization.slice('Basic '.length), 'base64').toString()
    const colon = decoded.indexOf(':')
    if (colon < 0) return undefined
    const user = users.get(decoded.slice(0, colon))
    const verifier = parseVerifier(user?.verifier ?? nobody)
    const verified = verifier.scheme === 'argon2id' && (await matchesArgon2(verifier, decoded.slice(colon + 1)))
    if (!verified || user === undefined) return undefined
    remembered.set(key, user.subject)
    return user.subject
  }

  return async (authorization) => {
    if (authorization === undefined || !/^Basic /i.test(authorization)) return undefined
    // Never shown, so the key before the text is keyed hash enough; createHmac costs four times as much.
    const key = hash('sha256', hashKey + authorization, 'base64')
    const known = remembered.get(key)
    if (known !== undefined) return known
    const verifying = underWay.get(key) ?? verify(authorization, key)
    underWay.set(key, verifying)
    try {
      return await verifying
    } finally {
      underWay.delete(key)
    }
  }
}
