import { describe, expect, it } from '@jest/globals'
import { matches, matchesPattern, problemOf } from '../../../src/identity/workload/rule.ts'

const rule = { issuer: 'https://issuer.test', audience: 'varve', subject: 'job', claims: {} }

describe('a pattern', () => {
  it.each([
    ['repo:octo/app:ref:refs/heads/main', 'repo:octo/app:ref:refs/heads/main'],
    ['repo:octo/*', 'repo:octo/'],
    ['*:main', 'a:b:main'],
    ['a*b*c', 'abbbc'],
    ['a*b*c', 'abcbc'],
    ['*', ''],
    ['a**b', 'ab'],
    ['aa*aa', 'aaaa'],
  ])('%j is met by %j', (pattern, text) => {
    expect(matchesPattern(pattern, text)).toBe(true)
  })

  it.each([
    ['job', 'jobs'],
    ['job', 'Job'],
    ['repo:octo/*', 'repo:octo-evil/app'],
    ['repo:octo/*:main', 'repo:octo/app:main:evil'],
    ['a*b*c', 'acb'],
    ['aa*aa', 'aaa'],
    ['a.c', 'abc'],
    ['', 'a'],
  ])('%j is not met by %j', (pattern, text) => {
    expect(matchesPattern(pattern, text)).toBe(false)
  })

  it('of many stars takes no longer for a text that nearly meets it', () => {
    expect(matchesPattern(`${'*a'.repeat(5_000)}b`, 'a'.repeat(100_000))).toBe(false)
  })
})

describe('a rule', () => {
  it('is met only by all of its claims', () => {
    const claims = { sub: 'job', env: 'prod', ids: ['one', 'two'], protected: true, run: 7 }
    for (const wanted of [{}, { env: 'prod' }, { env: 'p*' }, { ids: 'two' }, { protected: 'true', run: '7' }])
      expect(matches({ ...rule, claims: wanted }, claims)).toBe(true)
    for (const wanted of [{ env: 'test' }, { env: 'prod', ids: 'three' }, { missing: '*' }, { toString: '*' }, { protected: 'false' }]) {
      expect(matches({ ...rule, claims: wanted }, claims)).toBe(false)
    }
    expect(matches({ ...rule, claims: { nested: '*' } }, { ...claims, nested: { any: 'thing' }, none: null })).toBe(false)
    // A claim of that name is no way around the subject.
    expect(matches({ ...rule, claims: { sub: '*' } }, { sub: 'other' })).toBe(false)
  })

  it('says what is wrong with it', () => {
    expect(problemOf(rule)).toBeUndefined()
    expect(problemOf({ ...rule, subject: '*', claims: { repository: 'octo/app' } })).toBeUndefined()
    expect(problemOf({ ...rule, issuer: 'http://issuer.test' })).toMatch(/https/)
    expect(problemOf({ ...rule, issuer: 'https://a:b@issuer.test' })).toMatch(/user name/)
    expect(problemOf({ ...rule, audience: '' })).toMatch(/audience/)
    for (const open of [{ subject: '*' }, { subject: '' }, { subject: '**', claims: { any: '*' } }])
      expect(problemOf({ ...rule, ...open })).toMatch(/whatever the issuer/)
  })
})
