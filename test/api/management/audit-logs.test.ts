import { beforeAll, describe, expect, it } from '@jest/globals'
import { askingAs, makeUser } from '../../support/asking.ts'
import type { Asking } from '../../support/asking.ts'
import { PULL, basic, makeProject, makeRobot, makeRobotWith } from '../../support/doors.ts'
import { registryClient } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

type Log = {
  readonly id: number; readonly username: string; readonly resource: string; readonly resource_type: string; readonly operation: string; readonly op_time: string
  readonly operation_description?: string; readonly operation_result?: boolean
}
type User = Awaited<ReturnType<typeof makeUser>>

let server: VarveServer
let admin: Asking
let paul: User
let stella: User
let digest: string

async function logs(asking: Asking, path: string, query = ''): Promise<readonly Log[]> {
  return asking.read<readonly Log[]>(`${path}?page_size=100${query}`)
}

const said = ({ username, operation, resource_type: type, resource }: Log): string => `${username}: ${operation} ${type} ${resource}`

/** In the order in which it happened. Uploads come side by side. */
const done = (entries: readonly Log[]): string[] => entries.filter(({ resource_type: type }) => type !== 'blob').map(said).reverse()

async function pull(authorization: string, reference: string, method = 'GET'): Promise<number> {
  return (await registryClient({ url: server.url, authorization }).call(method, `/v2/team/app/manifests/${reference}`)).status
}

beforeAll(async () => {
  server = await startVarve()
  admin = askingAs(server)
  paul = await makeUser(server, 'paul-of-team')
  stella = await makeUser(server, 'stella-of-none')
  await makeProject(server, 'team', 'private', { 'paul-of-team': 'projectAdmin' })
  await makeProject(server, 'other', 'private')
  digest = (await registryClient(server).pushImage('team/app', 'v1', Buffer.from('a layer'))).digest
  await registryClient(server).pushImage('other/app', 'v1', Buffer.from('a layer'))
  expect([await pull(paul.authorization, 'v1'), await pull(paul.authorization, 'v1', 'HEAD'), await pull(paul.authorization, digest)]).toEqual([200, 200, 200])
  expect(await pull(stella.authorization, 'v1')).toBe(404)
  await makeRobot(server, 'team', 'theirs', PULL)
})

const OF_TEAM = (): string[] => [
  'admin: create project team', 'admin: create member team',
  'admin: create repository team/app', `admin: create artifact team/app@${digest}`, 'admin: create tag team/app:v1',
  'paul-of-team: pull artifact team/app:v1', `paul-of-team: pull artifact team/app@${digest}`,
  'admin: create robot theirs',
]

describe("a project's trail", () => {
  it('is what happened to it and in it, newest first, in Harbor’s words', async () => {
    const found = await logs(paul, '/projects/team/logs')
    expect(done(found)).toEqual(OF_TEAM())
    expect(found.map(({ resource_type: type }) => type)).toContain('blob')
    expect(found.map(({ id }) => id)).toEqual(found.map(({ id }) => id).sort((a, b) => b - a))
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length)
    expect(found.map(({ op_time: time }) => new Date(time).toISOString())).toEqual(found.map(({ op_time: time }) => time))
  })

  it('says in its extended form what was refused besides, with the reason', async () => {
    const refusals = (): Promise<readonly Log[]> => logs(paul, '/projects/team/auditlog-exts', '&q=operation_result%3Dfalse')
    // One is on record soon after its answer.
    await until(async () => (await refusals()).length > 0, 'a refusal on record')
    const refused = await refusals()
    const extended = await logs(paul, '/projects/team/auditlog-exts')
    expect(extended.filter((each) => each.operation_result === false)).toEqual(refused)
    expect(refused.map((each) => [said(each), each.operation_description])).toEqual([['stella-of-none: pull repository team/app', 'refused: role']])
    const rest = extended.filter(({ operation_result: result }) => result === true).map(({ operation_result: _result, operation_description: _description, ...short }) => short)
    expect(rest).toEqual(await logs(paul, '/projects/team/logs'))
    expect(extended.find(({ resource_type: type }) => type === 'tag')?.operation_description).toBe('tag.assigned')
  })

  it('is searched, ordered and paged', async () => {
    const [last, ...earlier] = await logs(admin, '/projects/team/logs', '&q=username%3Dpaul-of-team')
    expect([last, ...earlier].map((entry) => entry?.operation)).toEqual(['pull', 'pull'])
    const list = (q: string): Promise<string[]> => logs(admin, '/projects/team/logs', `&q=${encodeURIComponent(q)}`).then(done)
    expect(await list('username=~PAUL,resource=~:v1')).toEqual(['paul-of-team: pull artifact team/app:v1'])
    expect(await list('operation={pull delete}')).toHaveLength(2)
    expect(await list(`op_time=[${last?.op_time ?? ''}~${last?.op_time ?? ''}],username=paul-of-team`)).toContain(`paul-of-team: pull artifact team/app@${digest}`)
    expect(await list('op_time=[2020-01-01 00:00:00~2020-01-02 00:00:00]')).toEqual([])
    const oldest = await logs(admin, '/projects/team/logs', '&sort=op_time')
    expect(oldest.map(said)[0]).toBe('admin: create project team')
    const page = await admin.call('GET', '/projects/team/logs?q=operation%3Dpull&page=2&page_size=1')
    expect([page.headers.get('X-Total-Count'), page.headers.get('Link')]).toEqual(['2', '</api/v2.0/projects/team/logs?q=operation%3Dpull&page=1&page_size=1>; rel="prev"'])
    expect(page.body).toEqual(earlier)
    expect(await admin.asked('GET', '/projects/team/logs?q=op_time%3Dyesterday')).toBe('400 BAD_REQUEST')
    // Its shorter form has no such field, and names that a list does not know are passed over.
    expect(await list('operation_result=false')).toHaveLength(OF_TEAM().length)
  })

  it('is on record as read, by which fields it was searched, and not for what', async () => {
    await logs(paul, '/projects/team/logs', '&q=username%3D~stella,stella%3D1,operation%3Dpull')
    const [read] = await logs(admin, '/auditlog-exts', '&q=operation_description%3Dtrail.read&sort=-id')
    expect(read).toMatchObject({ username: 'paul-of-team', operation: 'list', resource_type: 'log', operation_result: true })
    const { stdout } = await server.varve('audit', '--action', 'trail.read', '--json')
    expect(stdout.trimEnd().split('\n').map((line) => (JSON.parse(line) as { parameters: unknown }).parameters)).toContainEqual({ asked: { project: 'team', by: 'username operation' } })
    expect(stdout).not.toContain('stella')
  })
})

describe('all trails', () => {
  it('are everything to administrators, system auditors and robots that may list them', async () => {
    const auditor = await makeUser(server, 'ada-the-auditor')
    const made = await fetch(`${server.url}/api/varve/v1/users/${auditor.number}/auditor`, { method: 'PUT', headers: { Authorization: server.authorization }, body: '{"auditor":true}' })
    expect(made.status).toBe(200)
    const robot = await makeRobotWith(server, 'lister', 'system', { kind: 'system', namespace: '/', access: [{ resource: 'audit-log', action: 'list' }] })
    for (const asking of [admin, auditor, askingAs(server, { name: robot.name, secret: robot.secret })]) {
      const found = await logs(asking, '/audit-logs', '&sort=id')
      expect(found.map(said)).toEqual(expect.arrayContaining(['admin: create user paul-of-team', 'admin: create project other', 'admin: create project team']))
      expect((await logs(asking, '/auditlog-exts', '&q=operation_result%3Dfalse')).map(said)).toContain('stella-of-none: pull repository team/app')
    }
  })

  it('are those of the projects where the caller may list them', async () => {
    expect(done(await logs(paul, '/audit-logs'))).toEqual(OF_TEAM())
    expect(await logs(stella, '/audit-logs')).toEqual([])
    const listing = [{ resource: 'log', action: 'list' }]
    const { name, secret } = await makeRobotWith(server, 'rover', 'system', { kind: 'project', namespace: '*', access: listing })
    const roved = (await logs(askingAs(server, { name, secret }), '/audit-logs')).map(said)
    expect(roved).toEqual(expect.arrayContaining(['admin: create project other', 'admin: create project team']))
    expect(roved.filter((each) => / user | token /.test(each))).toEqual([])
    const own = await makeRobot(server, 'other', 'own', ...listing)
    const found = (await logs(askingAs(server, own), '/audit-logs')).map(said)
    expect(found).toContain('admin: create project other')
    expect(found.filter((each) => each.includes('team'))).toEqual([])
  })
})

describe('who was forgotten', () => {
  it('is in them by an id, and numbers stay the same over a rebuild', async () => {
    const { authorization } = await makeUser(server, 'zdoralinde')
    await admin.make('/projects/team/members', { role_id: 3, member_user: { username: 'zdoralinde' } })
    expect(await pull(authorization, 'v1')).toBe(200)
    const [before] = await logs(paul, '/projects/team/logs', '&q=username%3Dzdoralinde')
    expect(await server.varve('subject', 'forget', 'zdoralinde')).toMatchObject({ code: 0 })
    const numbers = (entries: readonly Log[]): number[] => entries.map(({ id }) => id)
    const forgotten = await logs(admin, '/audit-logs', '&sort=id')
    expect(await logs(paul, '/projects/team/logs', '&q=username%3Dzdoralinde')).toEqual([])
    const now = (await logs(paul, '/projects/team/logs')).find(({ id }) => id === before?.id)
    expect(now).toEqual({ ...before, username: expect.stringMatching(/^[0-9a-f-]{36}$/) })
    expect(JSON.stringify(forgotten)).not.toContain('zdoralinde')
    expect(await server.varve('rebuild')).toMatchObject({ code: 0 })
    const rebuilt = await logs(admin, '/audit-logs', '&sort=id')
    expect(numbers(rebuilt).slice(0, forgotten.length)).toEqual(numbers(forgotten))
    expect(JSON.stringify(rebuilt)).not.toContain('zdoralinde')
    expect((await fetch(`${server.url}/api/v2.0/audit-logs`, { headers: { Authorization: basic('zdoralinde') } })).status).toBe(401)
  })
})
