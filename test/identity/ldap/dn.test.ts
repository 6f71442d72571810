import { describe, expect, it } from '@jest/globals'
import { dnKey, ownName } from '../../../src/identity/ldap/dn.ts'

describe('distinguished names', () => {
  it.each([
    ['cn=admins,ou=groups,dc=example,dc=test', 'CN=Admins, OU = Groups ,dc=EXAMPLE;dc=test'],
    ['cn=a\\, b', 'cn="a, b"'],
    ['cn=a\\, b', 'cn=a\\2c\\20b'],
    ['cn=Müller', 'cn=m\\c3\\bcller'],
    ['cn=a b', 'cn=  a   b  '],
    ['cn=x+uid=y,dc=z', 'UID=y + CN=x,dc=z'],
    ['cn=a\\"b\\\\c', 'cn="a\\"b\\\\c"'],
    ['1.2.3=x', '1.2.3 = X'],
    ['', '  '],
  ])('%j and %j are one', (left, right) => {
    expect(dnKey(left)).toBeDefined()
    expect(dnKey(left)).toBe(dnKey(right))
  })

  it.each([
    ['cn=a,cn=b', 'cn=a\\,cn=b'],
    ['cn=a+cn=b', 'cn=a,cn=b'],
    ['cn=a,cn=b', 'cn=b,cn=a'],
    ['cn=admins,dc=test', 'cn=admins,ou=x,dc=test'],
    ['cn=a', 'ou=a'],
    ['cn=a","cn="b', 'cn=a,cn=b'],
    ['cn=a\\2ccn=b', 'cn=a,cn=b'],
  ])('%j and %j are two', (left, right) => {
    expect(dnKey(left)).not.toBe(dnKey(right))
  })

  it.each([
    ['cn=Build\\, Test,ou=groups,dc=example', 'Build, Test'],
    ['cn = "a, b" + ou=x', 'a, b'],
    ['CN=m\\c3\\bcller,dc=z', 'm\u00fcller'],
    ['cn=a\\0ab\\00c', 'a b c'],
    ['cn= a   ,dc=z', 'a'],
    ['cn=a\\   ,dc=z', 'a '],
    ['cn=,dc=z', 'cn=,dc=z'],
    ['admins', 'admins'],
  ])('%j is called %j', (text, name) => {
    expect(ownName(text)).toBe(name)
  })

  // Where a run could be shared out, these would take hours.
  it.each(Object.entries({
    'spaces before a quote': `cn=${' '.repeat(100_000)}"x`, 'spaces around =': `cn${' '.repeat(100_000)}=${' '.repeat(100_000)}"x`,
    'spaces behind a value': `cn=x${' '.repeat(100_000)}"`, 'spaces behind quotes': `cn="x"${' '.repeat(100_000)}y`,
    'escaped spaces': `cn=${'\\ '.repeat(100_000)}"`, 'an open quote': `cn="${'\\"'.repeat(100_000)}`, 'a type': `${'a'.repeat(100_000)} b=c`, 'a number': `${'1.'.repeat(100_000)}=x`,
  }))('100,000 of %s make no name, and are read once', (_, text) => {
    expect(dnKey(text)).toBeUndefined()
    expect(ownName(text)).toBe(text)
  })

  it('a value has spaces in its middle, however many', () => {
    expect(dnKey(`cn=a${' '.repeat(100_000)}b`)).toBe(dnKey('cn=a b'))
  })

  it.each(['admins', 'cn', '=x', 'cn=a,', 'cn=a,,dc=b', 'cn="a', 'cn="a"b', 'cn=a\\', '(cn=a)'])('%j is none', (text) => {
    expect(dnKey(text)).toBeUndefined()
  })
})
