import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { managementClient } from '../support/management.ts'
import type { ManagementClient } from '../support/management.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

type Line = {
  readonly action: string
  readonly repository?: string
  readonly parameters: Readonly<Record<string, unknown>>
  readonly who: { readonly kind: string; readonly id: string; readonly name?: string }
  readonly address?: string
  readonly userAgent?: string
  readonly requestId?: string
}

const PASSWORD = 'Of-lakes-and-1-river'
const TYPED = ['Secret-as-typed-1', 'name-as-typed', 'PassAsName9']

let server: VarveServer
let api: ManagementClient

const basic = (name: string, secret: string): string => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

async function asked(path: string, authorization?: string, init: RequestInit = {}): Promise<{ readonly status: number; readonly requestId: string; readonly body: unknown }> {
  const response = await fetch(new URL(path, server.url), { ...init, headers: { 'User-Agent': 'access-tests/1', ...(authorization === undefined ? {} : { Authorization: authorization }) } })
  const text = await response.text()
  return { status: response.status, requestId: response.headers.get('X-Request-Id') ?? '', body: text.startsWith('{') ? JSON.parse(text) : text }
}

async function lines(...args: string[]): Promise<Line[]> {
  const { stdout, stderr, code } = await server.varve('audit', '--json', ...args)
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]))
}

/** What the trail says of a request. */
const of = (all: readonly Line[], requestId: string): Line[] => all.filter((line) => line.requestId === requestId && line.action !== 'project.created')

const token = async (authorization: string, scope = 'repository:team/app:pull'): Promise<string> =>
  ((await asked(`/service/token?service=varve&scope=${scope}`, authorization)).body as { token: string }).token

beforeAll(async () => {
  server = await startVarve()
  api = managementClient(server)
  await registryClient(server).pushImage('team/app', 'v1', Buffer.from('a layer'))
  await registryClient(server).pushImage('other/app', 'v1', Buffer.from('a layer'))
  for (const name of ['ann', 'bob', 'cid']) await api.created('/users', { username: name, email: `${name}@example.org`, password: PASSWORD })
})

describe('access', () => {
  it('is on record where somebody logged in, and where a token was issued, for what and never the token', async () => {
    const first = await asked('/service/token?service=varve&scope=repository:team/app:pull,push&offline_token=true', basic('admin', server.password))
    const { token: issued, refresh_token: refresh } = first.body as { token: string; refresh_token: string }
    const form = new URLSearchParams({ grant_type: 'refresh_token', service: 'varve', refresh_token: refresh, scope: 'repository:team/app:pull' })
    const second = await asked('/service/token', undefined, { method: 'POST', body: form })
    const fresh = await asked('/v2/', basic('ann', PASSWORD))
    const remembered = await asked('/v2/', basic('ann', PASSWORD))
    expect([first.status, second.status, fresh.status, remembered.status]).toEqual([200, 200, 200, 200])
    const all = await lines()
    const admin = { kind: 'user', id: expect.any(String) as unknown, name: 'admin' }
    const access = [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }]
    // The administrator is remembered from the pushes.
    expect(of(all, first.requestId)).toMatchObject([{ action: 'token.issued', parameters: { access, seconds: 300, refresh: true }, who: admin, address: '127.0.0.1', userAgent: 'access-tests/1' }])
    expect(of(all, second.requestId)).toMatchObject([
      { action: 'login', parameters: { by: 'refresh-token' }, who: admin },
      { action: 'token.issued', parameters: { access: [{ ...access[0], actions: ['pull'] }] }, who: admin },
    ])
    expect(of(all, fresh.requestId)).toMatchObject([{ action: 'login', parameters: { by: 'password' }, who: { kind: 'user', name: 'ann' }, address: '127.0.0.1' }])
    expect(of(all, remembered.requestId)).toEqual([])
    const { stdout } = await server.varve('log', 'tail', '-n', '10000')
    for (const secret of [issued, refresh]) expect(stdout).not.toContain(secret.slice(-40))
  })

  it('that was refused is on record with its reason, and nothing of what was typed', async () => {
    const good = await token(basic('ann', PASSWORD), 'repository:team/app:pull')
    const [header = '', payload = '', signature = ''] = (await token(server.authorization)).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { readonly access: { actions: string[] }[] }
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const wide = encode({ ...claims, access: claims.access.map((each) => ({ ...each, actions: ['pull', 'push', 'delete'] })) })
    const head = JSON.parse(Buffer.from(header, 'base64url').toString()) as object
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    expect(createPublicKey(privateKey).asymmetricKeyType).toBe('ec')
    const foreign = `${encode({ ...head, kid: 'another' })}.${payload}`
    const ended = await token(basic('bob', PASSWORD))
    const bob = ((await api.ask('GET', '/users/search?username=bob')).body as { user_id: number }[])[0]?.user_id ?? 0
    expect(await api.asked('PUT', `/users/${bob}/password`, { body: { new_password: `${PASSWORD}2` } })).toBe('200')

    const manifest = '/v2/team/app/manifests/v1'
    const cases: readonly (readonly [reason: string, who: string, status: number, answer: Awaited<ReturnType<typeof asked>>, more?: object])[] = [
      ['credentials', 'anonymous', 401, await asked('/v2/', basic('admin', TYPED[0] ?? ''))],
      ['token-algorithm', 'anonymous', 401, await asked(manifest, `Bearer ${encode({ ...head, alg: 'none' })}.${payload}.`)],
      ['token-signature', 'anonymous', 401, await asked(manifest, `Bearer ${header}.${wide}.${signature}`)],
      ['token-key', 'anonymous', 401, await asked(manifest, `Bearer ${foreign}.${sign('sha256', Buffer.from(foreign), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`)],
      ['token-malformed', 'anonymous', 401, await asked(manifest, 'Bearer nothing')],
      ['token-ended', 'user', 401, await asked(manifest, `Bearer ${ended}`)],
      ['scope', 'user', 401, await asked(manifest, `Bearer ${good}`), { repository: 'team/app', parameters: { reason: 'scope', action: 'pull' } }],
      ['role', 'user', 404, await asked('/v2/other/app/manifests/v1', basic('ann', PASSWORD)), { repository: 'other/app', parameters: { reason: 'role', action: 'pull' } }],
      ['role', 'user', 403, await asked('/api/v2.0/users', basic('ann', PASSWORD)), { parameters: { reason: 'role', action: 'user:list' } }],
      ['name', 'user', 400, await asked('/v2/team/UPPER/manifests/v1', server.authorization)],
    ]
    const all = await lines('--action', 'refused')
    for (const [reason, kind, status, answer, more] of cases) {
      expect({ reason, status: answer.status }).toEqual({ reason, status })
      expect(of(all, answer.requestId)).toMatchObject([{ action: 'refused', parameters: { reason }, who: { kind }, address: '127.0.0.1', ...more }])
    }
    await asked('/v2/', basic(TYPED[1] ?? '', TYPED[0] ?? ''))
    await asked('/v2/', basic(TYPED[2] ?? '', 'x'))
    const everything = (await server.varve('audit', '--json', '--blobs')).stdout + (await server.varve('log', 'tail', '-n', '10000')).stdout + server.output()
    for (const typed of TYPED) expect(everything).not.toContain(typed)
    for (const typed of TYPED) expect(everything).not.toContain(Buffer.from(typed).toString('base64url'))
  })

  it('for want of a right is on record also where a route looks at it itself', async () => {
    const robot = async (level: 'project' | 'system', namespace: string): Promise<number> => {
      const body = { name: level, level, duration: -1, permissions: [{ kind: 'project', namespace, access: [{ resource: 'repository', action: 'pull' }] }] }
      return ((await api.ask('POST', '/robots', { body })).body as { id: number }).id
    }
    const [ofProject, ofSystem, admin] = [await robot('project', 'other'), await robot('system', '*'), (await api.ask('GET', '/users/current')).body as { user_id: number }]
    const { project_id: other } = (await api.ask('GET', '/projects/other')).body as { project_id: number }
    await api.asked('PUT', '/configurations', { body: { project_creation_restriction: 'adminonly' } })
    const given = JSON.stringify({ name: 'mine', level: 'system', duration: -1, permissions: [{ kind: 'system', namespace: '/', access: [{ resource: 'user', action: 'list' }] }] })
    const cases: readonly (readonly [action: string, status: number, method: string, path: string, body?: string])[] = [
      ['robot:read', 404, 'GET', `/api/v2.0/robots/${ofProject}`],
      ['robot:delete', 404, 'DELETE', `/api/v2.0/robots/${ofSystem}`],
      ['robot:list', 404, 'GET', `/api/v2.0/robots?q=Level%3Dproject,ProjectID%3D${other}`],
      ['robot:create', 403, 'POST', '/api/v2.0/robots', given],
      ['robot:update', 404, 'PUT', `/api/varve/v1/robots/${ofProject}/workloads`, '[]'],
      ['project:read', 404, 'HEAD', '/api/v2.0/projects?project_name=other'],
      ['project:create', 403, 'POST', '/api/v2.0/projects', '{"project_name":"mine"}'],
      ['permission:list', 403, 'GET', '/api/v2.0/permissions'],
      ['user:read', 403, 'GET', `/api/v2.0/users/${admin.user_id}`],
      ['user:update', 403, 'PUT', `/api/v2.0/users/${admin.user_id}/password`, '{"new_password":"Another-1-of-these"}'],
      ['log:list', 404, 'GET', '/api/varve/v1/audit?project=other'],
      ['access:read', 404, 'GET', '/api/varve/v1/access?repository=other/app&action=pull'],
      ['access:read', 403, 'GET', '/api/varve/v1/access?user=admin'],
    ]
    const answers = []
    for (const [, , method, path, body] of cases) answers.push(await asked(path, basic('ann', PASSWORD), { method, ...(body === undefined ? {} : { body }) }))
    expect(answers.map(({ status }, index) => [cases[index]?.[0], status])).toEqual(cases.map(([action, status]) => [action, status]))
    const all = await lines('--action', 'refused', '--actor', 'ann')
    for (const [index, [action]] of cases.entries()) expect(of(all, answers[index]?.requestId ?? '')).toMatchObject([{ parameters: { reason: 'role', action }, who: { kind: 'user', name: 'ann' } }])
    // Of what is not there nothing is refused.
    const absent = await asked('/api/v2.0/robots/99999', basic('ann', PASSWORD))
    expect([absent.status, of(await lines('--action', 'refused'), absent.requestId)]).toEqual([404, []])
  })

  it('that a caller without a login begins with is no refusal', async () => {
    const challenged = [await asked('/v2/'), await asked('/v2/team/app/manifests/v1')]
    expect(challenged.map(({ status }) => status)).toEqual([401, 401])
    const all = await lines('--action', 'refused')
    for (const { requestId } of challenged) expect(of(all, requestId)).toEqual([])
  })

  it('that is refused again and again is counted, also when the server ends', async () => {
    const again = []
    for (let index = 0; index < 30; index += 1) again.push(await asked('/v2/other/app/manifests/v1', basic('cid', PASSWORD)))
    expect(new Set(again.map(({ status }) => status))).toEqual(new Set([404]))
    await server.restart()
    const rows = (await lines('--action', 'refused', '--actor', 'cid')).map(({ parameters }) => parameters)
    expect(rows).toEqual([{ reason: 'role', action: 'pull' }, { reason: 'role', action: 'pull', count: 29 }])
    expect((await server.varve('audit', '--action', 'refused', '--actor', 'cid')).stdout).toMatch(/refused role ×29/)
    expect((await server.varve('rebuild', '--verify')).stdout).toContain('the read models are what the log says')
  })
})
