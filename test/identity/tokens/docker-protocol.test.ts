import { describe, expect, it } from '@jest/globals'
import { bearerChallenge } from '../../../src/identity/tokens/challenge.ts'
import { covers, formatScopes, parseScopes } from '../../../src/identity/tokens/scope.ts'
import { tokenResponse } from '../../../src/identity/tokens/token-response.ts'

const repository = (name: string, ...actions: string[]) => ({ type: 'repository', name, actions })

describe('scope parameters', () => {
  it.each([
    [['repository:team/app:pull'], [repository('team/app', 'pull')]],
    [['repository:app:push,pull'], [repository('app', 'pull', 'push')]],
    [['repository:app:*'], [repository('app', 'pull', 'push', 'delete')]],
    [['repository:app:pull,*'], [repository('app', 'pull', 'push', 'delete')]],
    [['repository(plugin):team/app:pull'], [repository('team/app', 'pull')]],
    [['repository:a:pull', 'repository:b:push'], [repository('a', 'pull'), repository('b', 'push')]],
    [['repository:a:pull repository:b:push'], [repository('a', 'pull'), repository('b', 'push')]],
    [['repository:a:pull', 'repository:a:push repository:a:pull'], [repository('a', 'pull', 'push')]],
    [['registry:catalog:*'], [{ type: 'registry', name: 'catalog', actions: ['*'] }]],
    [['repository:a:pull,admin'], [repository('a', 'pull')]],
  ])('%j ask for %j', (parameters, access) => {
    expect(parseScopes(parameters)).toEqual(access)
  })

  it.each([
    '', ' ', 'repository', 'repository:', 'repository:app', 'repository:app:', 'repository::pull', ':app:pull', 'repository:app:PULL', 'repository:App:pull',
    'repository:library/../secret:pull', 'repository:a%2fb:pull', 'repository:registry.test:5000/app:pull', 'repository:app:admin', 'repository:app:,', 'registry:catalog:pull',
    'registry:other:*', 'volume:app:pull', 'repository():app:pull', 'Repository:app:pull', 'repository:a\npp:pull', 'repository:*:pull', 'repository:app\u0000:pull', '__proto__:app:pull',
  ])('%j ask for nothing', (parameter) => {
    expect(parseScopes([parameter])).toEqual([])
    expect(parseScopes([parameter, 'repository:app:pull'])).toEqual([repository('app', 'pull')])
  })

  it('are bounded, however many come', () => {
    expect(parseScopes(Array.from({ length: 1000 }, (_, index) => `repository:a${index}:pull`))).toHaveLength(100)
    expect(parseScopes([`repository:${'a'.repeat(10_000_000)}:pull`])).toEqual([])
  })

  it('are written as they are read', () => {
    const text = 'repository:team/app:pull,push registry:catalog:*'
    expect(formatScopes(parseScopes([text]))).toBe(text)
  })
})

describe('a token’s access', () => {
  const access = parseScopes(['repository:team/app:pull,push', 'repository:solo:pull', 'registry:catalog:*'])
  it.each([
    [repository('team/app', 'pull'), true],
    [repository('team/app', 'push', 'pull'), true],
    [repository('team/app', 'delete'), false],
    [repository('team/app', 'pull', 'delete'), false],
    [repository('team/app2', 'pull'), false],
    [repository('team', 'pull'), false],
    [repository('library/solo', 'pull'), true],
    [repository('library/solo', 'push'), false],
    [{ type: 'registry', name: 'catalog', actions: ['*'] }, true],
    [{ type: 'registry', name: 'team/app', actions: ['pull'] }, false],
  ])('covers %j: %s', (needed, expected) => {
    expect(covers(access, needed)).toBe(expected)
  })

  it('of nothing covers nothing', () => {
    expect(covers([], repository('app', 'pull'))).toBe(false)
  })
})

describe('a challenge', () => {
  const where = { realm: 'https://registry.test/service/token', service: 'registry.test' }
  it('says where to fetch a token, and for what', () => {
    expect(bearerChallenge({ ...where, needed: [] })).toBe('Bearer realm="https://registry.test/service/token",service="registry.test"')
    expect(bearerChallenge({ ...where, needed: [repository('a/b', 'pull', 'push'), repository('c', 'pull')], error: 'insufficient_scope' })).toBe(
      'Bearer realm="https://registry.test/service/token",service="registry.test",scope="repository:a/b:pull,push repository:c:pull",error="insufficient_scope"',
    )
    expect(bearerChallenge({ ...where, needed: [], error: 'invalid_token' })).toMatch(/,error="invalid_token"$/)
  })

  it('lets no value end its quotes or the header', () => {
    const challenge = bearerChallenge({ realm: 'a"b\\c\r\nSet-Cookie: x', service: 'ä', needed: [repository('x",error="no', 'pull')] })
    expect(challenge).toBe('Bearer realm="a\\"b\\\\cSet-Cookie: x",service="",scope="repository:x\\",error=\\"no:pull"')
  })
})

it('a token response says the same token twice, when it was made and for how long it lives', () => {
  const iat = Date.UTC(2026, 10, 1) / 1000
  const claims = { iss: 'i', aud: 'a', sub: 'anonymous:x', cred: '', access: [], jti: 'j', iat, nbf: iat, exp: iat + 1800 }
  const response = { token: 't', access_token: 't', expires_in: 1800, issued_at: '2026-11-01T00:00:00.000Z' }
  expect(tokenResponse({ token: 't', claims })).toEqual(response)
  expect(tokenResponse({ token: 't', claims }, 'r')).toEqual({ ...response, refresh_token: 'r' })
})
