import { beforeEach, describe, expect, it } from '@jest/globals'
import { LOGIN, readBegunLogin, readCookie, setCookie, writeBegunLogin } from '../../../src/identity/sessions/cookies.ts'
import { createSessions, isFromElsewhere, mayAct } from '../../../src/identity/sessions/sessions.ts'
import type { Sessions } from '../../../src/identity/sessions/sessions.ts'
import type { SessionRecord, SessionStore } from '../../../src/ports/session-store.ts'

/** The store as its port says it is. */
function memoryStore(): SessionStore & { readonly rows: Map<string, SessionRecord> } {
  const rows = new Map<string, SessionRecord>()
  const removeIf = (wanted: (session: SessionRecord) => boolean): void => {
    for (const [key, session] of rows) if (wanted(session)) rows.delete(key)
  }
  const done = (_outcome: unknown): Promise<void> => Promise.resolve()
  return {
    rows,
    create: (key, session) => done(rows.set(key, session)),
    get: (key) => Promise.resolve(rows.get(key)),
    remove: (key) => done(rows.delete(key)),
    removeEndedBefore: (time) => {
      removeIf((session) => session.endsAt < time)
      return done(undefined)
    },
  }
}

let store: ReturnType<typeof memoryStore>
let sessions: Sessions
let now: Date
beforeEach(() => {
  store = memoryStore()
  now = new Date('2026-11-25T12:00:00Z')
  sessions = createSessions({ store, secure: true, now: () => now })
})

const of = (user: string) => ({ user, credential: 'the event of a password' })

/** What a browser sends back of a Set-Cookie. */
const sent = (header: string): string => header.split(';')[0] ?? ''

describe('a session', () => {
  it('is a cookie that says nothing, and that scripts, other sites and plain http do not get', async () => {
    const header = await sessions.begin(of('user-1'), undefined, 3_600_000)
    expect(header).toMatch(/^__Host-sid=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/)
    expect(await sessions.find(sent(header))).toMatchObject({ user: 'user-1' })
    expect(await sessions.find(`other=1; ${sent(header)}; more=2`)).toMatchObject({ user: 'user-1' })
    // What the store holds opens no session.
    const [key = ''] = store.rows.keys()
    expect(header).not.toContain(key)
    expect(await sessions.find(`__Host-sid=${key}`)).toBeUndefined()
  })

  it('where the public URL is plain http goes without Secure, and under a plain name', async () => {
    const plain = createSessions({ store, secure: false })
    const header = await plain.begin(of('user-1'), undefined, 60_000)
    expect(header).toMatch(/^sid=[\w-]{43}; Path=\/; Max-Age=60; HttpOnly; SameSite=Lax$/)
    expect(await plain.find(sent(header))).toMatchObject({ user: 'user-1' })
    // The name without the prefix is anybody's to set where the registry is reached by https.
    expect(await sessions.find(sent(header))).toBeUndefined()
  })

  it('does not outlive a login: an id from before it is worth nothing, whoever set it', async () => {
    const before = sent(await sessions.begin(of('user-1'), undefined, 3_600_000))
    const after = sent(await sessions.begin(of('user-2'), before, 3_600_000))
    expect(after).not.toBe(before)
    expect(await sessions.find(before)).toBeUndefined()
    expect(await sessions.find(after)).toMatchObject({ user: 'user-2' })
    const planted = `__Host-sid=${'A'.repeat(43)}`
    expect(sent(await sessions.begin(of('user-3'), planted, 3_600_000))).not.toBe(planted)
    expect(await sessions.find(planted)).toBeUndefined()
  })

  it('ends at a log-out, and with its time', async () => {
    const [one, two, three] = [
      sent(await sessions.begin(of('user-1'), undefined, 3_600_000)),
      sent(await sessions.begin(of('user-1'), undefined, 3_600_000)),
      sent(await sessions.begin(of('user-2'), undefined, 3_600_000)),
    ]
    expect(await sessions.end(one)).toBe('__Host-sid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure')
    expect(await Promise.all([one, two, three].map((cookie) => sessions.find(cookie)))).toMatchObject([
      undefined,
      { user: 'user-1' },
      { user: 'user-2' },
    ])
    now = new Date(now.getTime() + 3_599_999)
    expect(await sessions.find(three)).toMatchObject({ user: 'user-2' })
    now = new Date(now.getTime() + 1)
    expect(await sessions.find(three)).toBeUndefined()
  })

  it('is none with no cookie, a broken one, or two', async () => {
    const cookie = sent(await sessions.begin(of('user-1'), undefined, 3_600_000))
    for (const header of [
      undefined,
      '',
      '__Host-sid',
      '__Host-sid=',
      '__Host-sid=short',
      `${cookie}x`,
      `x${cookie}`,
      `${cookie}; __Host-sid=${'A'.repeat(43)}`,
    ]) {
      expect([header, await sessions.find(header)]).toEqual([header, undefined])
      await sessions.end(header)
    }
    expect(store.rows.size).toBe(1)
  })

  it('is claimed by what is formed as its cookie, and by nothing else', async () => {
    const cookie = sent(await sessions.begin(of('user-1'), undefined, 3_600_000))
    const planted = `__Host-sid=${'A'.repeat(43)}`
    for (const header of [cookie, planted, `a=1; ${planted}`, `${cookie}; ${planted}`, `__Host-sid=x; ${planted}`]) expect([header, sessions.claims(header)]).toEqual([header, true])
    for (const header of [undefined, '', '__Host-sid', '__Host-sid=', '__Host-sid=s%3Aexpress', `${planted}x`, `x${planted}`, planted.slice(7)]) {
      expect([header, sessions.claims(header)]).toEqual([header, false])
    }
  })
})

describe('a request', () => {
  it('that changes something needs the token of its session', async () => {
    const cookies = [sent(await sessions.begin(of('user-1'), undefined, 3_600_000)), sent(await sessions.begin(of('user-1'), undefined, 3_600_000))]
    const [session, other] = await Promise.all(cookies.map((cookie) => sessions.find(cookie)))
    if (session === undefined || other === undefined) throw new Error('There is no session')
    expect((await sessions.find(cookies[0]))?.csrfToken).toBe(session.csrfToken)
    expect(cookies[0]).not.toContain(session.csrfToken)
    for (const method of ['GET', 'HEAD', 'OPTIONS']) expect(mayAct(session, method, undefined)).toBe(true)
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'get', 'TRACE', '']) {
      expect(mayAct(session, method, session.csrfToken)).toBe(true)
      for (const token of [undefined, '', 'wrong', other.csrfToken, `${session.csrfToken}=`, 'é'.repeat(43)])
        expect(mayAct(session, method, token)).toBe(false)
    }
  })

  it('before there is a session is told from another site’s', () => {
    const url = 'https://registry.test'
    for (const headers of [
      {},
      { origin: url },
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      { 'sec-fetch-site': 'same-origin', origin: url },
    ]) {
      expect([headers, isFromElsewhere(headers, url)]).toEqual([headers, false])
    }
    for (const headers of [
      { origin: 'https://evil.test' },
      { origin: 'null' },
      { origin: 'http://registry.test' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site', origin: url },
    ]) {
      expect([headers, isFromElsewhere(headers, url)]).toEqual([headers, true])
    }
  })
})

describe('a login that was begun', () => {
  const begun = { attempt: { state: 'state', nonce: 'nonce', codeVerifier: 'verifier' }, returnTo: '/harbor/projects?a=1;b=2,3 é' }

  it('comes back from its cookie as it was put there', () => {
    const header = setCookie({ name: LOGIN, secure: true }, writeBegunLogin(begun), 600)
    expect(header).toMatch(/^__Host-oidc=[\w.-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/)
    expect(readBegunLogin(readCookie({ name: LOGIN, secure: true }, sent(header)) ?? '')).toEqual(begun)
  })

  it.each(['', '.', '...', 'a.b.c', 'YQ.YQ..YQ', 'YQ.YQ.YQ.YQ.YQ'])('is none in %j', (text) => {
    expect(readBegunLogin(text)).toBeUndefined()
  })
})
