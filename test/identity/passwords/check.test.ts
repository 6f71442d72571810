import { describe, expect, it } from '@jest/globals'
import type { CheckFailure } from '../../../src/identity/passwords/check.ts'
import { createCredentialCheck } from '../../../src/identity/passwords/check.ts'
import { createDelays } from '../../../src/identity/passwords/delays.ts'
import { createCredentialMemory } from '../../../src/identity/passwords/remembered.ts'

type Person = { readonly id: string }
const ann: Person = { id: 'ann' }

function world() {
  let nowMs = 1_000_000
  let verifications = 0
  const memory = createCredentialMemory<Person, CheckFailure>({ now: () => nowMs })
  const check = createCredentialCheck(memory, createDelays({ now: () => nowMs }))
  return {
    memory,
    /** Whose a credential is from memory. */
    known: async (account: string, secret: string): Promise<Person | undefined> => {
      const found = await memory.get(account, secret, () => Promise.resolve({ failed: { status: 'wrong' } }))
      return 'subject' in found ? found.subject : undefined
    },
    pass: (ms: number) => { nowMs += ms },
    verifications: () => verifications,
    check: (secret: string, verify: () => Promise<Person | 'wrong' | 'busy'>, account = 'ann') =>
      check({ account, secret, address: '192.0.2.1' }, () => {
        verifications += 1
        return verify()
      }),
  }
}

const right = (): Promise<Person> => Promise.resolve(ann)
const wrong = (): Promise<'wrong'> => Promise.resolve('wrong')

/** A verification that ends when the test says so. */
function held(answer: Person | 'wrong') {
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  return { verify: () => ended.then(() => answer), end }
}

describe('a verified credential', () => {
  it('is remembered for 60 s from its verification, whoever asks meanwhile', async () => {
    const { check, pass, verifications, known } = world()
    for (const ms of [0, 30_000, 29_999]) {
      pass(ms)
      expect(await check('s', right)).toEqual({ subject: ann })
    }
    expect(verifications()).toBe(1)
    pass(1)
    expect(await known('ann', 's')).toBeUndefined()
    await check('s', right)
    expect(verifications()).toBe(2)
  })

  it('is not another one, however name and secret are put together', async () => {
    const { check, known } = world()
    await check('bc', right, 'a')
    expect(await known('a', 'bc')).toEqual(ann)
    expect(await known('ab', 'c')).toBeUndefined()
    expect(await known('a', 'b')).toBeUndefined()
    expect(await known('', 'abc')).toBeUndefined()
  })

  it('is forgotten at once when its subject is touched, by every name and secret, and only that one', async () => {
    const { check, memory, known } = world()
    await check('s', right)
    await check('cli', right, 'ann@example.org')
    await check('b', () => Promise.resolve({ id: 'bob' }), 'bob')
    memory.drop('ann')
    expect(await known('ann', 's')).toBeUndefined()
    expect(await known('ann@example.org', 'cli')).toBeUndefined()
    expect(await known('bob', 'b')).toEqual({ id: 'bob' })
  })

  it('is forgotten with its subject though another of the subject was verified anew meanwhile', async () => {
    const { check, pass, memory, known } = world()
    await check('one', right)
    pass(30_000)
    await check('two', right)
    pass(30_000)
    await check('one', right)
    memory.drop('ann')
    expect(await known('ann', 'one')).toBeUndefined()
    expect(await known('ann', 'two')).toBeUndefined()
  })

  it('that is being verified when its subject is touched is not remembered, and who asks after shares nothing', async () => {
    const { check, memory, known } = world()
    const before = held(ann)
    const asked = check('old', before.verify)
    memory.drop('ann')
    expect(await check('old', wrong)).toEqual({ failed: { status: 'wrong' } })
    before.end()
    await asked
    expect(await known('ann', 'old')).toBeUndefined()
  })

  it('is remembered though another subject is touched meanwhile', async () => {
    const { check, memory, known } = world()
    const verifying = held(ann)
    const asked = check('s', verifying.verify)
    memory.drop('bob')
    verifying.end()
    await asked
    expect(await known('ann', 's')).toEqual(ann)
  })

  it('is verified once for all who ask at once', async () => {
    const { check, verifications } = world()
    const results = await Promise.all(Array.from({ length: 100 }, () => check('s', right)))
    expect(results).toEqual(Array(100).fill({ subject: ann }))
    expect(verifications()).toBe(1)
  })
})

describe('a credential that is not right', () => {
  it('is never remembered', async () => {
    const { check, verifications } = world()
    expect(await check('s', wrong)).toEqual({ failed: { status: 'wrong' } })
    expect(await check('s', right)).toEqual({ subject: ann })
    expect(verifications()).toBe(2)
  })

  it('makes the next wait, without a verification; who has the right one in memory does not', async () => {
    const { check, verifications } = world()
    await check('right', right)
    for (let guess = 0; guess < 5; guess += 1) await check(`guess ${guess}`, wrong)
    const before = verifications()
    expect(await check('another guess', wrong)).toEqual({ failed: { status: 'wait', seconds: 1 } })
    expect(await check('right', right)).toEqual({ subject: ann })
    expect(verifications()).toBe(before)
  })

  it.each(['ANN', 'ａnn', ' ann ', 'Änn', 'a\u00adnn'])('counts for the account however its name is spelt: %j', async (spelling) => {
    const { check } = world()
    for (let guess = 0; guess < 5; guess += 1) await check(`guess ${guess}`, wrong, spelling)
    expect(await check('another guess', wrong)).toEqual({ failed: { status: 'wait', seconds: 1 } })
    expect(await check('another guess', wrong, 'bob')).toEqual({ failed: { status: 'wrong' } })
  })

  it.each([
    ['the server is busy', () => Promise.resolve('busy' as const)],
    ['the directory is down', () => Promise.reject(new Error('down'))],
  ])('is not told where %s, which counts as nothing', async (_, verify) => {
    const { check } = world()
    for (let attempt = 0; attempt < 20; attempt += 1) await check('s', verify).catch(() => undefined)
    expect(await check('s', right)).toEqual({ subject: ann })
  })
})
