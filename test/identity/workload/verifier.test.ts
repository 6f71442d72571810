import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { generateKeyPair } from 'jose'
import { createWorkloadVerifier } from '../../../src/identity/workload/verifier.ts'
import type { WorkloadVerifier } from '../../../src/identity/workload/verifier.ts'
import { createOutbound } from '../../../src/outbound/client.ts'
import { one } from '../../support/certificates.ts'
import { startIssuer } from '../../support/issuer.ts'
import type { Algorithm, Issuer } from '../../support/issuer.ts'
import { loopback } from '../../support/outbound.ts'

const outbound = createOutbound({ allowedNetworks: loopback, authorities: one.cert })

/** As GitHub Actions writes it, with fewer claims. */
const github = {
  aud: 'varve',
  sub: 'repo:octo-org/octo-repo:environment:prod',
  repository: 'octo-org/octo-repo',
  repository_owner: 'octo-org',
  repository_id: '74',
  ref: 'refs/heads/main',
  ref_protected: 'true',
  workflow: 'release',
  runner_environment: 'github-hosted',
  jti: 'example-id',
}

/** As Kubernetes projects it into a pod. */
const kubernetes = {
  aud: ['varve', 'https://kubernetes.default.svc'],
  sub: 'system:serviceaccount:builds:builder',
  'kubernetes.io': { namespace: 'builds', pod: { name: 'build-1', uid: '2c1' }, serviceaccount: { name: 'builder', uid: '3d4' } },
  jti: 'another-id',
}

let issuer: Issuer
let verifier: WorkloadVerifier
let clock = 1
beforeEach(async () => {
  issuer = await startIssuer()
  verifier = createWorkloadVerifier({ outbound, now: () => clock })
})
afterEach(() => {
  jest.restoreAllMocks()
})

const rules = () => [
  { id: 'github', issuer: issuer.url, audience: 'varve', subject: 'repo:octo-org/octo-repo:*', claims: { ref: 'refs/heads/*' } },
  { id: 'kubernetes', issuer: issuer.url, audience: 'varve', subject: 'system:serviceaccount:builds:builder', claims: {} },
  { id: 'elsewhere', issuer: issuer.url, audience: 'other', subject: '*', claims: { repository_owner: 'octo-org' } },
]
const verified = (token: string): ReturnType<WorkloadVerifier['verify']> => verifier.verify(token, rules())
const seconds = (): number => Math.floor(Date.now() / 1_000)

describe('a token', () => {
  it('of a job at GitHub, or of a pod in Kubernetes, is let in by the rule that it meets', async () => {
    expect(await verified(await issuer.sign(github))).toMatchObject({
      kind: 'workload',
      rule: { id: 'github' },
      issuer: issuer.url,
      subject: github.sub,
      claims: { workflow: 'release' },
    })
    expect(await verified(await issuer.sign(kubernetes))).toMatchObject({
      kind: 'workload',
      rule: { id: 'kubernetes' },
      subject: kubernetes.sub,
    })
    // Once each for both: the keys are kept.
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/jwks'])
  })

  it.each<Algorithm>(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])('signed with %s is verified', async (algorithm) => {
    await issuer.rotate(algorithm)
    expect(await verified(await issuer.sign(github))).toMatchObject({ kind: 'workload' })
  })

  it.each<[string, Record<string, unknown>]>([
    ['rule', { sub: 'repo:octo-org/octo-repo-evil:environment:prod' }],
    ['rule', { sub: 'repo:evil/repo:octo-org/octo-repo:' }],
    ['rule', { ref: 'refs/tags/v1' }],
    ['rule', { ref: undefined }],
    ['audience', { aud: 'another' }],
    ['audience', { aud: [] }],
    ['audience', { aud: 'varve.evil' }],
    ['malformed', { aud: undefined }],
    ['malformed', { sub: undefined }],
    ['rule', { sub: 'other', kind: 'refusal' }],
    ['malformed', { sub: '' }],
    ['malformed', { exp: undefined }],
    ['malformed', { iat: undefined }],
    ['expired', { exp: Math.floor(Date.now() / 1_000) - 60 }],
    ['expired', { iat: Math.floor(Date.now() / 1_000) - 90_000 }],
    ['not-yet-valid', { nbf: Math.floor(Date.now() / 1_000) + 600 }],
    ['not-yet-valid', { iat: Math.floor(Date.now() / 1_000) + 600 }],
  ])('is refused by its %s: %j', async (reason, wrong) => {
    expect(await verified(await issuer.sign({ ...github, ...wrong }))).toMatchObject({ kind: 'refusal', reason })
  })

  it('may be a few seconds early or late', async () => {
    expect(await verified(await issuer.sign({ ...github, iat: seconds() + 20, nbf: seconds() + 20 }))).toMatchObject({ kind: 'workload' })
    expect(await verified(await issuer.sign({ ...github, exp: seconds() - 20 }))).toMatchObject({ kind: 'workload' })
  })

  it('of another key, under the name of one that is published or not, is refused', async () => {
    const { privateKey } = await generateKeyPair('ES256')
    expect(await verified(await issuer.sign(github, {}, privateKey))).toMatchObject({ kind: 'refusal', reason: 'signature' })
    expect(await verified(await issuer.sign(github, { kid: 'unknown' }, privateKey))).toMatchObject({
      kind: 'refusal',
      reason: 'signature',
    })
  })

  it('whose claims were changed after signing is refused', async () => {
    const [head, , signature] = (await issuer.sign(github)).split('.')
    const [, widened] = (await issuer.sign({ ...github, sub: 'repo:octo-org/octo-repo:*' })).split('.')
    expect(await verified([head, widened, signature].join('.'))).toMatchObject({ kind: 'refusal', reason: 'signature' })
  })

  it('that nobody signed, or with what everybody knows, is refused', async () => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const body = part({ ...github, iss: issuer.url, iat: seconds(), exp: seconds() + 60 })
    const kid = issuer.keys()[0]?.kid
    expect(await verified(`${part({ alg: 'none', kid })}.${body}.`)).toMatchObject({ kind: 'refusal', reason: 'algorithm' })
    const text = `${part({ alg: 'HS256', kid })}.${body}`
    const byPublicKey = createHmac('sha256', JSON.stringify(issuer.keys()[0])).update(text).digest('base64url')
    expect(await verified(`${text}.${byPublicKey}`)).toMatchObject({ kind: 'refusal', reason: 'algorithm' })
    // A key that the token brings along is nobody's.
    const { privateKey } = await generateKeyPair('ES256')
    expect(
      await verified(await issuer.sign(github, { jwk: issuer.keys()[0], jku: `${issuer.url}/mine`, kid: 'mine' }, privateKey)),
    ).toMatchObject({ reason: 'signature' })
    expect(issuer.asked).not.toContain('/mine')
  })

  it.each(['', 'a', 'a.b.c', '{}', 'e30.e30.', 'x'.repeat(20_000)])('that is none is refused: %.20j', async (token) => {
    expect(await verified(token)).toMatchObject({ kind: 'refusal', reason: 'malformed' })
    expect(issuer.asked).toEqual([])
  })
})

describe('an issuer', () => {
  it('that no rule names is never called', async () => {
    const other = await startIssuer()
    expect(await verified(await other.sign(github))).toMatchObject({ kind: 'refusal', reason: 'issuer' })
    expect(await verified(await other.sign({ ...github, iss: `${issuer.url}/` }))).toMatchObject({ kind: 'refusal', reason: 'issuer' })
    expect(await verifier.verify(await issuer.sign(github), [])).toMatchObject({ kind: 'refusal', reason: 'issuer' })
    expect([...other.asked, ...issuer.asked]).toEqual([])
  })

  it('cannot speak for another', async () => {
    const other = await startIssuer()
    expect(await verified(await other.sign({ ...github, iss: issuer.url }))).toMatchObject({ kind: 'refusal', reason: 'signature' })
  })

  it('that takes a new key is asked once more, and the old key is worth nothing', async () => {
    const old = await issuer.sign(github)
    expect(await verified(old)).toMatchObject({ kind: 'workload' })
    await issuer.rotate()
    const [first, second] = [await issuer.sign(github), await issuer.sign(github)]
    // Right after the keys were asked for, a name that is not among them is not looked for: anybody can make one up.
    expect(await verified(first)).toMatchObject({ kind: 'refusal', reason: 'signature' })
    expect(issuer.asked).toHaveLength(2)
    const now = Date.now.bind(Date)
    jest.spyOn(Date, 'now').mockImplementation(() => now() + 31_000)
    expect(await verified(second)).toMatchObject({ kind: 'workload' })
    expect(await verified(old)).toMatchObject({ kind: 'refusal', reason: 'signature' })
    expect(issuer.asked).toHaveLength(3)
  })

  it('that is down is a refusal, asked again only after three seconds', async () => {
    const path = '/.well-known/openid-configuration'
    const published = issuer.answers.get(path) ?? { status: 500, body: {} }
    issuer.answers.set(path, { status: 503, body: {} })
    const token = await issuer.sign(github)
    expect(await Promise.all([verified(token), verified(token)])).toMatchObject([{ reason: 'unavailable' }, { reason: 'unavailable' }])
    expect(issuer.asked).toEqual([path])
    issuer.answers.set(path, published)
    expect(await verified(token)).toMatchObject({ reason: 'unavailable' })
    clock += 3_001
    expect(await verified(token)).toMatchObject({ kind: 'workload' })
  })

  it.each<[string, (url: string) => unknown]>([
    ['another name', (url) => ({ issuer: `${url}/other`, jwks_uri: `${url}/jwks` })],
    ['keys over http', (url) => ({ issuer: url, jwks_uri: `${url.replace('https', 'http')}/jwks` })],
    ['no keys', (url) => ({ issuer: url })],
    ['keys at a private address', (url) => ({ issuer: url, jwks_uri: 'https://169.254.169.254/jwks' })],
    ['keys that are none', (url) => ({ issuer: url, jwks_uri: `${url}/nothing` })],
    ['no document', () => 'text'],
  ])('with %s is refused', async (_case, document) => {
    issuer.answers.set('/.well-known/openid-configuration', { status: 200, body: document(issuer.url) })
    expect(await verified(await issuer.sign(github))).toMatchObject({ kind: 'refusal', reason: 'unavailable' })
  })
})
