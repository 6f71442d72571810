import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { makeUser } from '../../support/asking.ts'
import { one } from '../../support/certificates.ts'
import { startIssuer } from '../../support/issuer.ts'
import type { Issuer } from '../../support/issuer.ts'
import { registryClient } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'

/* A CI job logs in as a robot with the token that its issuer gave it: no secret is stored anywhere. */

let folder: string
let issuer: Issuer
let server: VarveServer
let robot: { readonly id: number; readonly name: string; readonly secret: string }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-workloads-'))
  await writeFile(join(folder, 'ca.pem'), one.cert)
  issuer = await startIssuer()
  server = await startVarve({ env: { VARVE_OUTBOUND_NETWORKS: '127.0.0.0/8', VARVE_OUTBOUND_CA: join(folder, 'ca.pem') } })
  await call('POST', '/api/v2.0/projects', { project_name: 'team' })
  const access = ['pull', 'push'].map((action) => ({ resource: 'repository', action }))
  const made = await call('POST', '/api/v2.0/robots', {
    name: 'ci', level: 'project', duration: -1, permissions: [{ kind: 'project', namespace: 'team', access }],
  })
  robot = (await made.json()) as typeof robot
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const call = (method: string, path: string, body?: unknown, authorization = server.authorization): Promise<Response> =>
  registryClient({ url: server.url, authorization }).call(method, path, body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } })
const basic = (name: string, secret: string): string => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
const pushing = async (token: string): Promise<number> => (await call('POST', '/v2/team/app/blobs/uploads/', undefined, basic(robot.name, token))).status
const claims = { sub: 'repo:octo/app:ref:refs/heads/main', aud: 'varve', environment: 'prod' }
const rule = () => ({ issuer: issuer.url, audience: 'varve', subject: 'repo:octo/app:*', claims: { environment: 'prod' } })
type Granted = { readonly token: string; readonly expires_in: number; readonly refresh_token?: string }
const granted = async (secret: string): Promise<Granted> =>
  (await (await call('GET', '/service/token?service=varve&scope=repository:team/app:pull,push&offline_token=true', undefined, basic(robot.name, secret))).json()) as Granted
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { readonly exp: number }
const path = (): string => `/api/varve/v1/robots/${robot.id}/workloads`

describe('the workloads of a robot', () => {
  it('are none at first: a token of nobody asked for is a wrong secret, and its issuer is not called', async () => {
    expect(await (await call('GET', path())).json()).toEqual([])
    expect(await pushing(await issuer.sign(claims))).toBe(401)
    expect(issuer.asked).toEqual([])
  })

  it('log in by the rules that are set, at /v2 and for a token, and the secret stays good', async () => {
    expect((await call('PUT', path(), [rule()])).status).toBe(200)
    expect(await (await call('GET', path())).json()).toEqual([rule()])
    const token = await issuer.sign(claims)
    expect(await pushing(token)).toBe(202)
    expect((await granted(token)).token).toEqual(expect.any(String))
    expect(await pushing(robot.secret)).toBe(202)
  })

  it('are refused with another subject, claim or audience, and when the token has ended', async () => {
    const seconds = Math.floor(Date.now() / 1000)
    const others = [{ ...claims, sub: 'repo:evil/app:ref' }, { ...claims, environment: 'test' }, { ...claims, aud: 'another' }, { ...claims, iat: seconds - 600, exp: seconds - 300 }]
    for (const other of others) expect(await pushing(await issuer.sign(other))).toBe(401)
  })

  it('are given no token that outlives theirs, and none to fetch others with', async () => {
    const exp = Math.floor(Date.now() / 1000) + 120
    const { token, expires_in: seconds, refresh_token: refresh } = await granted(await issuer.sign({ ...claims, exp }))
    expect([claimsOf(token).exp <= exp, seconds <= 120, refresh]).toEqual([true, true, undefined])
    const form = new URLSearchParams({ grant_type: 'password', service: 'varve', access_type: 'offline', username: robot.name, password: await issuer.sign(claims) })
    const posted = await fetch(new URL('/service/token', server.url), { method: 'POST', body: form })
    expect([posted.status, ((await posted.json()) as Granted).refresh_token]).toEqual([200, undefined])
    // One by the robot's secret lives as long as the setting says.
    expect(await granted(robot.secret)).toMatchObject({ expires_in: 300, refresh_token: expect.any(String) as unknown })
  })

  it('end at once with the rule that let them in, and whatever they were given; others and the secret stay', async () => {
    const [token, other] = [await issuer.sign(claims), { ...rule(), subject: 'repo:octo/other:*' }]
    expect((await call('PUT', path(), [rule(), other])).status).toBe(200)
    const tokens = [token, await issuer.sign({ ...claims, sub: 'repo:octo/other:main' }), robot.secret]
    const bearers = await Promise.all(tokens.map(async (each) => `Bearer ${(await granted(each)).token}`))
    const opened = (): Promise<number[]> => Promise.all(bearers.map(async (bearer) => (await call('POST', '/v2/team/app/blobs/uploads/', undefined, bearer)).status))
    expect([await pushing(token), await opened()]).toEqual([202, [202, 202, 202]])
    expect((await call('PUT', path(), [other])).status).toBe(200)
    expect([await pushing(token), await opened()]).toEqual([401, [401, 202, 202]])
    expect((await call('PUT', path(), [])).status).toBe(200)
    expect(await opened()).toEqual([401, 401, 202])
  })

  it('are set by who may change the robot, with rules that let in less than everybody', async () => {
    const stranger = await makeUser(server, 'stranger')
    const { authorization } = stranger
    expect([(await call('GET', path(), undefined, authorization)).status, (await call('PUT', path(), [rule()], authorization)).status]).toEqual([404, 404])
    for (const wrong of [{ ...rule(), issuer: 'http://issuer.test' }, { ...rule(), subject: '*', claims: {} }, { ...rule(), audience: '' }, { issuer: issuer.url }]) {
      expect((await call('PUT', path(), [wrong])).status).toBe(400)
    }
  })
})
