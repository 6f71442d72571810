import { describe, expect, it } from '@jest/globals'
import { safeReturnTo } from '../../../src/identity/sessions/return-to.ts'

describe('a login leads', () => {
  it.each([
    '/',
    '/harbor/projects',
    '/harbor/projects/1/repositories/team%252Fapp?q=name%3D~x#top',
    '/harbor/projects?next=//evil.test&b=https://evil.test/',
    '/a/../b',
    '/a//b',
    '/@evil.test',
    '/:8080',
  ])('to %j', (text) => {
    expect(safeReturnTo(text)).toBe(text)
    expect(new URL(text, 'https://registry.test').origin).toBe('https://registry.test')
  })

  it.each([
    ...[
      '',
      'harbor',
      'https://evil.test',
      'HTTPS:evil.test',
      'javascript:alert(1)',
      'data:text/html,x',
      '@evil.test',
      '.evil.test',
      '?a',
      '#a',
      ' /',
      '\t/',
    ],
    ...['//evil.test', '///evil.test', '/\\evil.test', '\\\\evil.test', '\\/evil.test', '/\\/evil.test', '/a\\b'],
    ...[
      '/\t/evil.test',
      '/\n/evil.test',
      '/\r\n/evil.test',
      '/\u0000/evil.test',
      '/ /evil.test',
      '/a\r\nSet-Cookie: a=b',
      '/\u2028',
      '/é',
      '/／evil.test',
    ],
    ...[
      '/%2f/evil.test',
      '/%2F%2Fevil.test',
      '/%2fevil.test',
      '/%5cevil.test',
      '/%5C%5Cevil.test',
      '/%09/evil.test',
      '/%0d%0aSet-Cookie:a',
      '/%00',
      '/%7f',
    ],
    ...[
      '/%252f/evil.test',
      '/%252fevil.test',
      '/%25252fevil.test',
      '/%255cevil.test',
      '/%2525252525252fa',
      '/%',
      '/%zz',
      '/%ff',
      '/100%25',
    ],
    ...[
      '/..//evil.test',
      '/.//evil.test',
      '/a/..//evil.test',
      '/%2e%2e//evil.test',
      '/./%2fevil.test',
      '/.%5cevil.test',
      '/..%2f/evil.test',
    ],
    ...['/a?b=\\\\evil.test', '/a?b=%0d%0aX:y', '/a#%0aX', `/${'a'.repeat(2_000)}`],
    ...[undefined, null, 7, ['/a'], { toString: () => '/a' }],
  ])('not to %j', (text) => {
    expect(safeReturnTo(text)).toBeUndefined()
  })
})
