import { createHash, createHmac } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { generateKeyPair } from 'jose'
import { createRelyingParty, pingProvider } from '../../../src/identity/oidc/relying-party.ts'
import type { LoginAttempt, RelyingParty } from '../../../src/identity/oidc/relying-party.ts'
import type { OidcSettings } from '../../../src/identity/oidc/settings.ts'
import { createOutbound } from '../../../src/outbound/client.ts'
import { one } from '../../support/certificates.ts'
import { startIssuer } from '../../support/issuer.ts'
import type { Issuer } from '../../support/issuer.ts'
import { CLIENT, signIn, startProvider } from '../../support/oidc-provider.ts'
import type { RunningProvider } from '../../support/oidc-provider.ts'
import { loopback } from '../../support/outbound.ts'

const outbound = createOutbound({ allowedNetworks: loopback, authorities: one.cert })
const redirectUri = 'https://registry.test/c/oidc/callback'
const settings: OidcSettings = {
  name: 'Test',
  endpoint: '',
  clientId: CLIENT.id,
  clientSecret: CLIENT.secret,
  scope: ['openid', 'profile', 'email', 'groups'],
  groupsClaim: 'groups',
  adminGroup: 'admins',
  groupFilter: '',
  userClaim: 'preferred_username',
  verifyCertificate: true,
  autoOnboard: true,
  extraRedirectParameters: {},
}

afterEach(() => {
  jest.restoreAllMocks()
})

/** The clock of this process, and so of the provider in it, goes on by that much. */
function later(ms: number): void {
  const now = Date.now.bind(Date)
  jest.spyOn(Date, 'now').mockImplementation(() => now() + ms)
}

async function begun(party: RelyingParty): Promise<{ readonly url: URL; readonly attempt: LoginAttempt }> {
  const outcome = await party.begin()
  if (outcome.kind === 'refusal') throw new Error(outcome.message)
  return { url: new URL(outcome.url), attempt: outcome.attempt }
}

describe('with a real provider', () => {
  let provider: RunningProvider
  let party: RelyingParty
  const accounts = {
    alice: {
      name: 'Alice Example',
      preferred_username: 'alice.example',
      email: 'alice@example.com',
      groups: ['developers', 'admins', 'developers', '', 7],
    },
    bob: { name: 'Bob', groups: 'testers' },
    carol: { name: 'Carol' },
  }
  const partyWith = (more: Partial<OidcSettings> = {}): RelyingParty =>
    createRelyingParty({ outbound, settings: { ...settings, endpoint: provider.url, ...more }, redirectUri })

  beforeAll(async () => {
    provider = await startProvider([redirectUri], accounts)
    party = partyWith()
  })

  const signedIn = async (login: string, at = party): ReturnType<RelyingParty['finish']> => {
    const { url, attempt } = await begun(at)
    return at.finish(await signIn(url.href, login, redirectUri), attempt)
  }

  it('a person signs in, with groups, and is an administrator by one', async () => {
    expect(await signedIn('alice')).toEqual({
      kind: 'person',
      person: {
        issuer: provider.url,
        subject: 'alice',
        name: 'alice.example',
        email: 'alice@example.com',
        realName: 'Alice Example',
        groups: ['developers', 'admins'],
        administrator: true,
      },
    })
  })

  it('groups may be one text, or none, and are taken from the claim that is set', async () => {
    expect(await signedIn('bob')).toEqual({
      kind: 'person',
      person: { issuer: provider.url, subject: 'bob', realName: 'Bob', groups: ['testers'], administrator: false },
    })
    expect(await signedIn('carol')).toMatchObject({ person: { groups: [], administrator: false } })
    expect(await signedIn('alice', partyWith({ groupsClaim: 'roles', userClaim: '' }))).toMatchObject({
      person: { name: 'Alice Example', groups: [], administrator: false },
    })
    expect(await signedIn('alice', partyWith({ groupsClaim: '', adminGroup: '' }))).toMatchObject({
      person: { groups: [], administrator: false },
    })
  })

  it('a filter leaves out groups, though not what they make of somebody', async () => {
    expect(await signedIn('alice', partyWith({ groupFilter: '^dev' }))).toMatchObject({
      person: { groups: ['developers'], administrator: true },
    })
  })

  it('the browser is sent with a challenge, a nonce and a state of this login alone', async () => {
    const withMore = partyWith({ extraRedirectParameters: { prompt: 'login' }, scope: ['profile'] })
    const [{ url, attempt }, second] = [await begun(withMore), await begun(withMore)]
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: CLIENT.id,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid profile',
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: createHash('sha256').update(attempt.codeVerifier).digest('base64url'),
      code_challenge_method: 'S256',
      prompt: 'login',
    })
    expect(new Set([...Object.values(attempt), ...Object.values(second.attempt)]).size).toBe(6)
    expect(url.href).not.toContain(attempt.codeVerifier)
  })

  it('a code is honoured once', async () => {
    const { url, attempt } = await begun(party)
    const query = await signIn(url.href, 'alice', redirectUri)
    expect(await party.finish(query, attempt)).toMatchObject({ kind: 'person' })
    expect(await party.finish(query, attempt)).toMatchObject({ kind: 'refusal', reason: 'code' })
  })

  it('a code is worth nothing without its verifier', async () => {
    const { url, attempt } = await begun(party)
    const query = await signIn(url.href, 'alice', redirectUri)
    const { attempt: other } = await begun(party)
    expect(await party.finish(query, { ...attempt, codeVerifier: other.codeVerifier })).toMatchObject({ kind: 'refusal', reason: 'code' })
  })

  it('another login’s nonce is refused', async () => {
    const { url, attempt } = await begun(party)
    const query = await signIn(url.href, 'alice', redirectUri)
    expect(await party.finish(query, { ...attempt, nonce: (await begun(party)).attempt.nonce })).toMatchObject({
      kind: 'refusal',
      reason: 'nonce',
    })
  })

  it('an answer with another state, without one or with two is refused', async () => {
    const { url, attempt } = await begun(party)
    const query = await signIn(url.href, 'alice', redirectUri)
    const { attempt: other } = await begun(party)
    expect(await party.finish(query, other)).toMatchObject({ kind: 'refusal', reason: 'state' })
    expect(await party.finish(query.replace(/state=[^&]*/, ''), attempt)).toMatchObject({ kind: 'refusal', reason: 'state' })
    expect(await party.finish(`${query}&state=${attempt.state}`, attempt)).toMatchObject({ kind: 'refusal', reason: 'state' })
    expect(await party.finish('', attempt)).toMatchObject({ kind: 'refusal', reason: 'state' })
  })

  it('an answer of another issuer is refused (RFC 9207)', async () => {
    const { url, attempt } = await begun(party)
    const query = new URLSearchParams(await signIn(url.href, 'alice', redirectUri))
    query.set('iss', 'https://other.test')
    expect(await party.finish(query.toString(), attempt)).toMatchObject({ kind: 'refusal', reason: 'answer' })
  })

  it('a login that the provider declines is refused, and no text of the caller is repeated', async () => {
    const { attempt } = await begun(party)
    const declined = new URLSearchParams({ state: attempt.state, error: 'access_denied', error_description: 'evil', iss: provider.url })
    expect(await party.finish(declined.toString(), attempt)).toEqual({
      kind: 'refusal',
      reason: 'declined',
      message: 'The provider did not let you in (access_denied)',
    })
    declined.set('error', '<b>evil</b>')
    expect(await party.finish(declined.toString(), attempt)).toMatchObject({ message: 'The provider did not let you in' })
  })

  it('a wrong secret of the client is told apart from a wrong code', async () => {
    expect(await signedIn('alice', partyWith({ clientSecret: 'wrong' }))).toEqual({
      kind: 'refusal',
      reason: 'answer',
      message: 'The provider refuses to answer (invalid_client)',
    })
  })

  it('keys that the provider changed are asked for again', async () => {
    expect(await signedIn('alice')).toMatchObject({ kind: 'person' })
    await provider.rotateKeys()
    later(61_000)
    expect(await signedIn('alice')).toMatchObject({ kind: 'person' })
  })

  it('the session at the provider can be ended as well', async () => {
    const url = new URL((await party.logoutUrl('https://registry.test/')) ?? '')
    expect(url.origin).toBe(provider.url)
    expect(Object.fromEntries(url.searchParams)).toEqual({ client_id: CLIENT.id, post_logout_redirect_uri: 'https://registry.test/' })
  })

  it('a ping finds it, and says why not', async () => {
    expect(await pingProvider(outbound, { endpoint: provider.url, verifyCertificate: true })).toBeUndefined()
    const wary = createOutbound({ allowedNetworks: loopback })
    expect(await pingProvider(wary, { endpoint: provider.url, verifyCertificate: true })).toMatchObject({
      reason: 'unavailable',
      message: expect.stringContaining('certificate'),
    })
    expect(await pingProvider(wary, { endpoint: provider.url, verifyCertificate: false })).toBeUndefined()
    expect(await pingProvider(outbound, { endpoint: `${provider.url}/nothing`, verifyCertificate: true })).toMatchObject({
      reason: 'answer',
    })
    expect(await pingProvider(outbound, { endpoint: provider.url.replace('https', 'http'), verifyCertificate: true })).toMatchObject({
      kind: 'refusal',
    })
  })

  it('one that is down is a refusal, and one that is back is found again', async () => {
    let clock = 1
    const own = createRelyingParty({ outbound, settings: { ...settings, endpoint: provider.url }, redirectUri, now: () => clock })
    const { url, attempt } = await begun(own)
    const query = await signIn(url.href, 'alice', redirectUri)
    await provider.stop()
    expect(await own.finish(query, attempt)).toMatchObject({ kind: 'refusal', reason: 'unavailable' })
    clock += 600_001
    expect(await own.begin()).toMatchObject({
      kind: 'refusal',
      reason: 'unavailable',
      message: expect.stringContaining('cannot be reached'),
    })
    expect(await own.logoutUrl('https://registry.test/')).toBeUndefined()
    await provider.start()
    expect(await own.begin()).toMatchObject({ kind: 'refusal' })
    clock += 3_001
    expect(await own.begin()).toMatchObject({ kind: 'begun' })
    expect(await own.finish(query, attempt)).toMatchObject({ kind: 'person' })
  })
})

describe('with a provider that lies', () => {
  let issuer: Issuer
  let party: RelyingParty
  beforeAll(async () => {
    issuer = await startIssuer()
    party = createRelyingParty({ outbound, settings: { ...settings, endpoint: issuer.url }, redirectUri })
  })

  const finished = async (token: (attempt: LoginAttempt) => Promise<unknown>): ReturnType<RelyingParty['finish']> => {
    const { attempt } = await begun(party)
    issuer.answers.set('/token', { status: 200, body: { access_token: 'access', token_type: 'Bearer', id_token: await token(attempt) } })
    return party.finish(new URLSearchParams({ code: 'code', state: attempt.state }).toString(), attempt)
  }
  const claims = ({ nonce }: LoginAttempt): Record<string, unknown> => ({ sub: 'alice', aud: CLIENT.id, nonce })
  const now = (): number => Math.floor(Date.now() / 1_000)

  it('an honest token is taken, without a user-info endpoint too', async () => {
    expect(await finished((attempt) => issuer.sign({ ...claims(attempt), groups: ['admins'] }))).toEqual({
      kind: 'person',
      person: { issuer: issuer.url, subject: 'alice', groups: ['admins'], administrator: true },
    })
    expect(await party.logoutUrl('https://registry.test/')).toBeUndefined()
  })

  it.each<[string, Record<string, unknown>]>([
    ['issuer', { iss: 'https://other.test' }],
    ['audience', { aud: 'other' }],
    ['audience', { aud: [CLIENT.id, 'other'], azp: 'other' }],
    ['nonce', { nonce: 'other' }],
    ['answer', { nonce: undefined }],
    ['expired', { exp: Math.floor(Date.now() / 1_000) - 3_600 }],
    ['answer', { exp: undefined }],
    ['answer', { sub: undefined }],
  ])('a token with a wrong %s is refused: %j', async (reason, wrong) => {
    expect(await finished((attempt) => issuer.sign({ ...claims(attempt), ...wrong }))).toMatchObject({ kind: 'refusal', reason })
  })

  it('a token that is signed by nobody, by another or with a key that all know is refused', async () => {
    const { privateKey: others } = await generateKeyPair('ES256')
    expect(await finished((attempt) => issuer.sign(claims(attempt), {}, others))).toMatchObject({ kind: 'refusal', reason: 'signature' })
    expect(await finished((attempt) => issuer.sign(claims(attempt), { kid: 'unknown' }))).toMatchObject({
      kind: 'refusal',
      reason: 'signature',
    })

    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const unsigned = (alg: string, attempt: LoginAttempt): string =>
      `${part({ alg, kid: issuer.keys()[0]?.kid })}.${part({ ...claims(attempt), iss: issuer.url, iat: now(), exp: now() + 60 })}`
    expect(await finished((attempt) => Promise.resolve(`${unsigned('none', attempt)}.`))).toMatchObject({ kind: 'refusal' })
    const byPublicKey = (text: string): string =>
      `${text}.${createHmac('sha256', JSON.stringify(issuer.keys()[0])).update(text).digest('base64url')}`
    expect(await finished((attempt) => Promise.resolve(byPublicKey(unsigned('HS256', attempt))))).toMatchObject({ kind: 'refusal' })
  })

  it('an answer without a token, or that is none, is refused', async () => {
    expect(await finished(() => Promise.resolve(undefined))).toMatchObject({ kind: 'refusal', reason: 'answer' })
    expect(await finished(() => Promise.resolve('no token'))).toMatchObject({ kind: 'refusal' })
    const { attempt } = await begun(party)
    for (const [status, body, reason] of [
      [500, 'ill', 'unavailable'],
      [200, 'x'.repeat(1_100_000), 'unavailable'],
      [200, 'x', 'answer'],
      [302, {}, 'answer'],
    ] as const) {
      issuer.answers.set('/token', { status, body })
      expect([status, await party.finish(`code=code&state=${attempt.state}`, attempt)]).toMatchObject([status, { kind: 'refusal', reason }])
    }
  })

  it('one that goes by another name is refused', async () => {
    const other = await startIssuer()
    other.answers.set(
      '/.well-known/openid-configuration',
      issuer.answers.get('/.well-known/openid-configuration') ?? { status: 500, body: '' },
    )
    expect(await pingProvider(outbound, { endpoint: other.url, verifyCertificate: true })).toMatchObject({
      kind: 'refusal',
      reason: 'issuer',
    })
  })

  it('one that speaks of two people is refused', async () => {
    const other = await startIssuer()
    const published = other.answers.get('/.well-known/openid-configuration')
    other.answers.set('/.well-known/openid-configuration', {
      status: 200,
      body: { ...Object(published?.body), userinfo_endpoint: `${other.url}/me` },
    })
    other.answers.set('/me', { status: 200, body: { sub: 'admin', groups: ['admins'] } })
    const its = createRelyingParty({ outbound, settings: { ...settings, endpoint: other.url }, redirectUri })
    const { attempt } = await begun(its)
    other.answers.set('/token', {
      status: 200,
      body: { access_token: 'a', token_type: 'Bearer', id_token: await other.sign(claims(attempt)) },
    })
    expect(await its.finish(`code=code&state=${attempt.state}`, attempt)).toMatchObject({ kind: 'refusal', reason: 'token' })
  })

  it('refusals hold nothing of what was sent', async () => {
    const { attempt } = await begun(party)
    issuer.answers.set('/token', { status: 400, body: { error: 'invalid_grant', error_description: 'hidden words' } })
    const outcome = JSON.stringify(await party.finish(`code=hidden-code&state=${attempt.state}`, attempt))
    for (const hidden of ['hidden', CLIENT.secret, attempt.state, attempt.codeVerifier]) expect(outcome).not.toContain(hidden)
  })
})
