import { describe, expect, it } from '@jest/globals'
import { makeSecret } from '../../../src/identity/passwords/made-secret.ts'
import { passwordFaults } from '../../../src/identity/passwords/policy.ts'

describe('a password', () => {
  it.each(['Harbor12345', 'Abcdefg1', `Aa1${'x'.repeat(125)}`, 'Ärger-über-7', 'Пароль-длинный-7', 'Aa1 with spaces', 'Aa1:😀😀😀😀', `Aa1${'e\u0301'.repeat(125)}`])(
    'may be %j',
    (password) => {
      expect(passwordFaults(password)).toEqual([])
    },
  )

  it.each([
    ['', ['too-short', 'no-upper-case', 'no-lower-case', 'no-digit']],
    ['Abcdef1', ['too-short']],
    // Seven characters, though more UTF-16 units.
    ['Aa1😀😀😀😀', ['too-short']],
    ['Aa1e\u0301e\u0301e\u0301e\u0301', ['too-short']],
    [`Aa1${'x'.repeat(126)}`, ['too-long']],
    // Eighteen characters each after NFKC.
    [`Aa1${'\ufdfa'.repeat(7)}`, ['too-long']],
    ['x'.repeat(2000), ['too-long']],
    ['abcdefg1', ['no-upper-case']],
    ['ABCDEFG1', ['no-lower-case']],
    ['Abcdefgh', ['no-digit']],
  ])('may not be %j', (password, faults) => {
    expect(passwordFaults(password)).toEqual(faults)
  })
})

it('a made secret is 32 letters and digits of every kind, and another each time', () => {
  const made = Array.from({ length: 500 }, makeSecret)
  for (const secret of made) expect(secret).toMatch(/^(?=.*[A-Z])(?=.*[a-z])(?=.*\d)[A-Za-z\d]{32}$/)
  expect(new Set(made).size).toBe(500)
  expect(new Set(made.join('')).size).toBe(62)
})
