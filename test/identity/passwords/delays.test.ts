import { describe, expect, it } from '@jest/globals'
import type { AttemptEnd } from '../../../src/identity/passwords/delays.ts'
import { createDelays } from '../../../src/identity/passwords/delays.ts'

function world() {
  let nowMs = 1_000_000
  const delays = createDelays({ now: () => nowMs })
  return {
    delays,
    pass: (ms: number) => { nowMs += ms },
    /** 0 where the attempt was made, else the seconds to wait. */
    attempt: (account: string, address: string, how: AttemptEnd = 'wrong'): number => {
      const begun = delays.begin(account, address)
      if (begun.status === 'wait') return begun.seconds
      begun.end(how)
      return 0
    },
  }
}

/** Waits as told and tries again, so many times. */
function waits({ attempt, pass }: ReturnType<typeof world>, times: number, next: (index: number) => readonly [string, string]): number[] {
  return Array.from({ length: times }, (_, index) => {
    const [account, address] = next(index)
    const seconds = attempt(account, address)
    pass(seconds * 1000)
    if (seconds > 0) expect(attempt(account, address)).toBe(0)
    return seconds
  })
}

describe('the delay of an account', () => {
  it('begins after five failures, doubles, and ends at a minute', () => {
    expect(waits(world(), 14, (index) => ['ann', `192.0.2.${index}`])).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60])
  })

  it('is the same for a name that nobody has: names are all it is given', () => {
    const [known, unknown] = [waits(world(), 9, () => ['admin', '192.0.2.1']), waits(world(), 9, () => ['no\u0000body', '192.0.2.1'])]
    expect(unknown).toEqual(known)
  })

  it('ends with a success, and leaves other accounts alone', () => {
    const all = world()
    for (let failure = 0; failure < 5; failure += 1) all.attempt('ann', '192.0.2.1')
    expect(all.attempt('ann', '192.0.2.1')).toBe(1)
    expect(all.attempt('bob', '192.0.2.1')).toBe(0)
    all.pass(1000)
    expect(all.attempt('ann', '192.0.2.1', 'right')).toBe(0)
    expect(waits(all, 6, () => ['ann', '192.0.2.1'])).toEqual([0, 0, 0, 0, 0, 1])
  })

  it('forgives a failure every three minutes', () => {
    const all = world()
    for (let failure = 0; failure < 4; failure += 1) all.attempt('ann', '192.0.2.1')
    all.pass(2 * 180_000)
    expect(waits(all, 4, () => ['ann', '192.0.2.1'])).toEqual([0, 0, 0, 1])
  })

  it('holds for guesses that are sent all at once', () => {
    const { delays } = world()
    const begun = Array.from({ length: 1000 }, () => delays.begin('ann', '192.0.2.1'))
    expect(begun.filter(({ status }) => status === 'begun')).toHaveLength(5)
    expect(begun.at(-1)).toEqual({ status: 'wait', seconds: 1 })
  })

  it('counts nothing of an attempt that came to no verdict', () => {
    const all = world()
    for (let attempt = 0; attempt < 100; attempt += 1) expect(all.attempt('ann', '192.0.2.1', 'unanswered')).toBe(0)
    expect(waits(all, 6, () => ['ann', '192.0.2.1'])).toEqual([0, 0, 0, 0, 0, 1])
  })
})

describe('where an account has logged in from lately', () => {
  const guessed = () => {
    const all = world()
    expect(all.attempt('ann', '192.0.2.1', 'right')).toBe(0)
    expect(waits(all, 12, (index) => ['ann', `198.51.100.${index}`]).at(-1)).toBe(60)
    return all
  }

  it('guesses from elsewhere make nobody wait, and elsewhere they go on waiting after a login there', () => {
    const all = guessed()
    expect(all.attempt('ann', '198.51.100.99')).toBeGreaterThan(0)
    expect(all.attempt('ann', '192.0.2.1', 'right')).toBe(0)
    expect(all.attempt('ann', '198.51.100.99')).toBeGreaterThan(0)
    expect(all.attempt('ann', '192.0.2.2')).toBeGreaterThan(0)
  })

  it('guesses from there wait as everywhere', () => {
    expect(waits(guessed(), 8, () => ['ann', '192.0.2.1'])).toEqual([0, 0, 0, 0, 0, 1, 2, 4])
  })

  it('it is like elsewhere for other accounts, and for this one after a week', () => {
    const all = guessed()
    for (let failure = 0; failure < 5; failure += 1) all.attempt('bob', `203.0.113.${failure}`)
    expect(all.attempt('bob', '192.0.2.1')).toBe(1)
    all.pass(7 * 24 * 3_600_000)
    for (let failure = 0; failure < 5; failure += 1) all.attempt('ann', `203.0.113.${failure}`)
    expect(all.attempt('ann', '192.0.2.1')).toBe(1)
  })
})

describe('the delay of a network', () => {
  it('begins after twenty accounts failed from it, for every account, and not elsewhere', () => {
    const all = world()
    expect(waits(all, 22, (index) => [`user-${index}`, '192.0.2.1'])).toEqual([...Array<number>(20).fill(0), 1, 2])
    expect(all.attempt('ann', '192.0.2.1')).toBeGreaterThan(0)
    expect(all.attempt('ann', '192.0.2.2')).toBe(0)
  })

  it('is not ended by a success, which whoever guesses may have one of', () => {
    const all = world()
    for (let index = 0; index < 20; index += 1) {
      all.attempt(`user-${index}`, '192.0.2.1')
      all.attempt('mallory', '192.0.2.1', 'right')
    }
    expect(all.attempt('ann', '192.0.2.1')).toBe(1)
  })

  it('is not brought about by ten jobs that keep sending the same old passwords', () => {
    const all = world()
    // They come every 5 s for an hour, whatever they are answered.
    for (let seconds = 0; seconds < 3600; seconds += 5) {
      for (let job = 0; job < 10; job += 1) all.attempt(`job-${job}`, '192.0.2.1')
      expect(all.attempt('ann', '192.0.2.1', 'right')).toBe(0)
      all.pass(5000)
    }
  })

  it('is not brought about by 500 robots that log in at once', () => {
    const { delays } = world()
    const begun = Array.from({ length: 500 }, (_, index) => delays.begin(`robot-${index}`, '192.0.2.1'))
    expect(begun.filter(({ status }) => status !== 'begun')).toEqual([])
  })

  it('forgets the oldest beyond its memory, and does not grow', () => {
    const all = world()
    for (let failure = 0; failure < 5; failure += 1) all.attempt('ann', '2001:db8::1')
    for (let index = 0; index < 50_000; index += 1) all.attempt(`user-${index}`, `2001:db8:${(index >> 8).toString(16)}:${(index & 255).toString(16)}::1`)
    expect(all.attempt('ann', '192.0.2.1')).toBe(0)
  })
})
