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
    ['cn=,dc=z', 'cn=,dc=z'],
    ['admins', 'admins'],
  ])('%j is called %j', (text, name) => {
    expect(ownName(text)).toBe(name)
  })

  it.each(['admins', 'cn', '=x', 'cn=a,', 'cn=a,,dc=b', 'cn="a', 'cn="a"b', 'cn=a\\', '(cn=a)'])('%j is none', (text) => {
    expect(dnKey(text)).toBeUndefined()
  })
})
