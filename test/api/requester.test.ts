import { randomUUID } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { identified } from '../../src/api/authenticate.ts'
import type { AuthRefusal, Identified } from '../../src/api/authenticate.ts'
import type { LoggedIn } from '../../src/api/login.ts'
import { createIdentify } from '../../src/api/requester.ts'
import type { Caller } from '../../src/commands/activity/batches.ts'
import type { Access } from '../../src/commands/activity/record-access.ts'
import type { Refused } from '../../src/commands/activity/refusals.ts'
import { ForgottenError } from '../../src/ports/key-store.ts'
import { createPlainSealer } from '../support/history.ts'

const ann = { kind: 'user', id: randomUUID(), name: 'ann', administrator: false, auditor: false, groups: [] } as const
const login = { kind: 'user', id: ann.id, credential: randomUUID() } as const
const nobody = { kind: 'anonymous', id: randomUUID() } as const
const request = { headers: { 'user-agent': 'tests/1' }, socket: { remoteAddress: '2001:db8::1:2' } }

function identifying(found: Identified | AuthRefusal, record: (access: Access) => Promise<void> = () => Promise.resolve()) {
  const refused: Refused[] = []
  const callers: (() => Promise<Caller>)[] = []
  const sealer = createPlainSealer()
  const { identify } = createIdentify({
    authenticate: () => Promise.resolve(found),
    access: {
      record,
      refuse: (asked, callerOf) => {
        refused.push(asked)
        callers.push(callerOf)
      },
    },
    sealer,
    anonymous: () => nobody,
    addressOf: () => '2001:db8::1:2',
    now: () => new Date(),
  })
  return { identify: () => identify(request, 'request'), refused, callers, sealer }
}

describe('who logged in', () => {
  const ended: AuthRefusal = { refused: true, reason: 'token', why: 'ended', login }
  const loggedIn: LoggedIn = { login, by: 'password', fresh: true }

  it('is who they are now, and a new login unless they are remembered', async () => {
    expect(await identified(loggedIn, () => Promise.resolve(ann))).toEqual({ subject: ann, login, scope: undefined, by: 'password' })
    expect(await identified({ ...loggedIn, fresh: false }, () => Promise.resolve(ann))).toEqual({ subject: ann, login, scope: undefined })
  })

  it('is nobody where what they came by has ended: a secret as a wrong one, a token as one that has ended', async () => {
    expect(await identified(loggedIn, () => Promise.resolve('ended'))).toEqual({ refused: true, reason: 'credentials' })
    expect(await identified({ ...loggedIn, by: 'refresh-token' }, () => Promise.resolve('ended'), ended)).toEqual(ended)
    expect(await identified(loggedIn, () => Promise.resolve('unavailable'), ended)).toEqual({ refused: true, reason: 'directory' })
  })
})

describe('who makes a request', () => {
  it('is told so once their login is on record, and not before', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const asked: Access[] = []
    const { identify } = identifying({ subject: ann, login, scope: undefined, by: 'password' }, async (access) => {
      asked.push(access)
      await promise
    })
    let isKnown = false
    const identified = identify().then((requester) => {
      isKnown = true
      return requester
    })
    for (let turns = 0; turns < 20; turns += 1) await new Promise((done) => setImmediate(done))
    expect({ isKnown, asked }).toEqual({ isKnown: false, asked: [{ what: 'login', by: 'password', caller: expect.objectContaining({ subject: ann.id }) as unknown, requestId: 'request' }] })
    resolve(undefined)
    expect(await identified).toMatchObject({ subject: ann, address: '2001:db8::1:2' })
  })

  it('is not let in where their login cannot be put on record', async () => {
    const { identify } = identifying({ subject: ann, login, scope: undefined, by: 'password' }, () => Promise.reject(new Error('the log is away')))
    await expect(identify()).rejects.toThrow('the log is away')
  })

  it('is no new login where they are remembered, or have a token', async () => {
    const { identify } = identifying({ subject: ann, login, scope: undefined }, () => Promise.reject(new Error('recorded')))
    expect(await identify()).toMatchObject({ subject: ann })
  })

  it.each([
    [{ refused: true, reason: 'credentials' }, 'credentials', '2001:db8:0:0::/64'],
    [{ refused: true, reason: 'credentials', account: 'locked' }, 'account-locked', '2001:db8:0:0::/64'],
    [{ refused: true, reason: 'wait', seconds: 3 }, 'throttled', '2001:db8:0:0::/64'],
    [{ refused: true, reason: 'directory' }, 'directory-away', '2001:db8:0:0::/64'],
    [{ refused: true, reason: 'token', why: 'expired' }, 'token-expired', '2001:db8:0:0::/64'],
    [{ refused: true, reason: 'token', why: 'ended', login }, 'token-ended', ann.id],
  ] as const)('is refused for %j as %s, of %s', async (why, reason, source) => {
    const { identify, refused } = identifying(why)
    expect(await identify()).toBe(why)
    expect(refused).toEqual([{ source, reason, requestId: 'request' }])
  })

  it('is served, and on record without an address, where the key that callers without a login share was forgotten', async () => {
    const asNobody = { subject: nobody, login: { kind: 'anonymous', id: nobody.id, credential: '' }, scope: undefined } as const
    const { identify, sealer } = identifying(asNobody)
    await sealer.forget(nobody.id)
    const [first, second] = [await identify(), await identify()]
    if ('refused' in first || 'refused' in second) throw new Error('somebody who does not log in was refused')
    expect(first.caller).toStrictEqual({ kind: 'anonymous', subject: nobody.id })
    // A batch tells callers apart by identity.
    expect(second.caller).toBe(first.caller)
    expect(first.command()).not.toHaveProperty('private')

    const failing = identifying({ refused: true, reason: 'credentials' })
    await failing.sealer.forget(nobody.id)
    await failing.identify()
    expect(await Promise.all(failing.callers.map((callerOf) => callerOf()))).toStrictEqual([{ kind: 'anonymous', subject: nobody.id }])
  })

  it('is not let in as somebody who was forgotten meanwhile', async () => {
    const { identify, sealer } = identifying({ subject: ann, login, scope: undefined, by: 'password' })
    await sealer.forget(ann.id)
    await expect(identify()).rejects.toThrow(ForgottenError)
  })
})
