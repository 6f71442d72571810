import { describe, expect, it } from '@jest/globals'
import { isReservedProject, parseReference, parseRepositoryName, parseTag, splitRepositoryName } from '../../src/oci/names.ts'

describe('a repository name', () => {
  it.each([
    'app', 'a', '0', 'team/app', 'a/b/c/d', 'a.b', 'a_b', 'a__b', 'a-b', 'a---b', 'a-b_c.d__e/f0', 'a/'.repeat(127) + 'b', 'a'.repeat(255),
  ])('is parsed from %s', (text) => {
    expect(parseRepositoryName(text)).toBe(text)
  })

  it.each([
    '', '/', 'a/', '/a', 'a//b', 'A', 'team/App', 'a..b', 'a___b', 'a._b', 'a-.b', '-a', 'a-', '.a', 'a.', '_a', 'a_', 'a b', 'a:b', 'a%2Fb', 'ä', 'a\n',
    '../etc', 'a/../b', 'a'.repeat(256), 'a/'.repeat(128) + 'b',
  ])('is not parsed from %j', (text) => {
    expect(parseRepositoryName(text)).toBeUndefined()
  })

  it('is refused in no time, however it was made', () => {
    expect(parseRepositoryName(`${'a-'.repeat(126)}a!`)).toBeUndefined()
    expect(parseRepositoryName(`${'-'.repeat(254)}!`)).toBeUndefined()
  })

  it.each([
    ['app', 'library', 'app'],
    ['library/app', 'library', 'app'],
    ['team/app', 'team', 'app'],
    ['team/a/b', 'team', 'a/b'],
  ])('%s is of the project %s', (text, project, path) => {
    const name = parseRepositoryName(text)
    expect(name && splitRepositoryName(name)).toEqual({ project, path })
  })

  it('leaves the registry’s own paths to it', () => {
    expect(['asof', 'v2', 'api', 'service', 'library', 'constructor'].filter(isReservedProject)).toEqual(['asof', 'v2', 'api', 'service'])
  })
})

describe('a tag', () => {
  it.each(['latest', 'v1.0', '_', '0', 'A-b_c.D', 'a'.repeat(128)])('is parsed from %s', (text) => {
    expect(parseTag(text)).toBe(text)
  })

  it.each(['', '.a', '-a', 'a/b', 'a:b', 'a b', 'a+b', 'ä', 'a\n', 'a'.repeat(129)])('is not parsed from %j', (text) => {
    expect(parseTag(text)).toBeUndefined()
  })
})

describe('a reference', () => {
  const digest = `sha256:${'0'.repeat(64)}`

  it('is a digest where it holds a colon, or a tag', () => {
    expect(parseReference(digest)).toEqual({ kind: 'digest', digest })
    expect(parseReference('sha256')).toEqual({ kind: 'tag', tag: 'sha256' })
    expect(parseReference('sha256:baddigeststring')).toBeUndefined()
    expect(parseReference('')).toBeUndefined()
    expect(parseReference('a/b')).toBeUndefined()
  })
})
