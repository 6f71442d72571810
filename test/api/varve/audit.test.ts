import { beforeAll, describe, expect, it } from '@jest/globals'
import { routes } from '../../../src/api/varve/routes.ts'
import { answersOf } from '../../support/answers.ts'
import { PULL, makeRobot } from '../../support/doors.ts'
import { managementClient } from '../../support/management.ts'
import type { ManagementClient } from '../../support/management.ts'
import { registryClient } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'

const PASSWORD = 'Of-lakes-and-1-river'
/** Of an answer, by the schema that the document shows. */
const faultsOf = answersOf(routes, 'get', '/audit')
type Entry = { readonly cursor: string; readonly action: string; readonly repository?: string; readonly parameters?: Readonly<Record<string, unknown>>; readonly who: { readonly id: string; readonly name?: string } }
type Page = { readonly entries: readonly Entry[]; readonly through: string; readonly next?: string }

let server: VarveServer
let api: ManagementClient
const ids = new Map<string, number>()

async function ask(path: string, name = 'admin', headers: Readonly<Record<string, string>> = {}, init: RequestInit = {}): Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }> {
  const secret = name === 'admin' ? server.password : PASSWORD
  const authorization = `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
  const response = await fetch(new URL(`/api/varve/v1${path}`, server.url), { ...init, headers: { Authorization: authorization, ...headers } })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

async function page(path: string, name?: string): Promise<Page> {
  const { status, text } = await ask(path, name)
  expect({ status, text: status === 200 ? '' : text }).toEqual({ status: 200, text: '' })
  expect(faultsOf(JSON.parse(text))).toEqual([])
  return JSON.parse(text) as Page
}

beforeAll(async () => {
  server = await startVarve()
  api = managementClient(server)
  await registryClient(server).pushImage('team/app', 'v1', Buffer.from('a layer'))
  await registryClient(server).pushImage('other/app', 'v1', Buffer.from('a layer'))
  for (const name of ['ada', 'paul', 'stella']) ids.set(name, await api.created('/users', { username: name, email: `${name}@example.org`, password: PASSWORD }))
  expect(await api.asked('POST', '/projects/team/members', { body: { role_id: 1, member_user: { username: 'paul' } } })).toBe('201')
  for (const [name, project] of [['theirs', 'team'], ['others', 'other']] as const) {
    const robot = await makeRobot(server, project, name, PULL)
    expect(await api.asked('PUT', `/robots/${robot.id}`, { body: { disable: true, permissions: robot.permissions } })).toBe('200')
    expect(await api.asked('DELETE', `/robots/${robot.id}`)).toBe('200')
  }
  for (const name of ['team', 'other']) expect((await registryClient(server).call('GET', `/v2/${name}/app/manifests/v1`)).status).toBe(200)
  const put = await ask(`/users/${ids.get('ada') ?? 0}/auditor`, 'admin', { 'Content-Type': 'application/json' }, { method: 'PUT', body: '{"auditor":true}' })
  expect(put.status).toBe(200)
})

describe('GET /api/varve/v1/audit', () => {
  it('gives an auditor, page by page and as lines, what the terminal prints', async () => {
    const { through } = await page('/audit?limit=1', 'ada')
    const { stdout } = await server.varve('audit', '--json', '--until', through)
    const printed = stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Entry)
    expect(printed.map(({ action }) => action)).toEqual(expect.arrayContaining(['auditor.granted', 'login', 'member.added', 'pull', 'push']))
    const all: Entry[] = []
    for (let after: string | undefined, pages = 0; pages === 0 || after !== undefined; pages += 1) {
      const { entries, next } = await page(`/audit?limit=7&until=${through}${after === undefined ? '' : `&after=${after}`}`, 'ada')
      all.push(...entries)
      after = next
    }
    expect(all).toEqual(printed)
    const lines = await ask(`/audit?limit=10000&until=${through}`, 'ada', { Accept: 'application/x-ndjson' })
    expect({ type: lines.headers.get('content-type'), link: lines.headers.get('link'), text: lines.text }).toEqual({ type: 'application/x-ndjson', link: null, text: stdout })
    const first = await ask(`/audit?limit=3&until=${through}`, 'ada', { Accept: 'application/x-ndjson' })
    expect(first.headers.get('link')).toBe(`</api/varve/v1/audit?limit=3&until=${through}&after=${printed[2]?.cursor ?? ''}>; rel="next"`)
  })

  it('has on record who read or exported it, for what, and no name that was looked for', async () => {
    await page('/audit?actor=stella&action=login', 'ada')
    await ask('/audit?repository=team/app', 'ada', { Accept: 'application/x-ndjson' })
    const { status } = await ask('/access?repository=team/app&action=pull&user=stella', 'ada')
    expect(status).toBe(200)
    const { entries } = await page('/audit?actor=ada&limit=1000')
    expect(entries.filter(({ action }) => action.endsWith('.read')).slice(-3)).toMatchObject([
      { action: 'trail.read', parameters: { asked: { actor: 'by name', action: 'login' } }, who: { name: 'ada' } },
      { action: 'trail.read', parameters: { asked: { repository: 'team/app' }, exported: true } },
      { action: 'access.read', parameters: { asked: { repository: 'team/app', action: 'pull', user: 'by name' } } },
    ])
  })

  it('gives those of a project what happened to it and in it, and nothing else', async () => {
    const { entries } = await page('/audit?project=team&limit=1000', 'paul')
    expect(entries.map(({ action }) => action)).toEqual(expect.arrayContaining(['project.created', 'member.added', 'push', 'pull']))
    expect(new Set(entries.flatMap(({ repository }) => (repository === undefined ? [] : [repository])))).toEqual(new Set(['team/app']))
    const whole = await page('/audit?limit=1000')
    const [project] = whole.entries.filter(({ action, parameters }) => action === 'project.created' && parameters?.['name'] === 'team')
    const id = project?.parameters?.['project']
    const [robot] = whole.entries.filter(({ action, parameters }) => action === 'robot.created' && parameters?.['name'] === 'theirs')
    const isTheirs = (parameters: Entry['parameters']): boolean => parameters?.['project'] === id || parameters?.['robot'] === robot?.parameters?.['robot']
    const theirs = whole.entries.filter(({ repository, parameters }) => repository?.startsWith('team/') === true || (repository === undefined && parameters !== undefined && isTheirs(parameters)))
    expect(theirs.map(({ action }) => action).filter((action) => action.startsWith('robot.'))).toEqual(['robot.created', 'robot.changed', 'robot.deleted'])
    expect(entries).toEqual(theirs.slice(0, entries.length))
    expect((await page('/audit?repository=team/app&action=pull', 'paul')).entries.map(({ action }) => action)).toEqual(['pull'])
  })

  it.each([
    ['/audit', 'stella', 403], ['/audit', 'paul', 403],
    ['/audit?project=team', 'stella', 404], ['/audit?project=other', 'paul', 404], ['/audit?repository=other/app', 'paul', 404], ['/audit?project=nowhere', 'paul', 404],
    ['/audit?project=team&repository=other/app', 'paul', 400],
    ['/audit?project=nowhere', 'ada', 404],
    ['/audit?since=yesterday', 'ada', 400], ['/audit?until=otherlog-1', 'ada', 400], ['/audit?after=nothing', 'ada', 400], ['/audit?action=pulls', 'ada', 400],
    ['/audit?limit=0', 'ada', 400], ['/audit?limit=10001', 'ada', 400], ['/audit?tag=a%20b', 'ada', 400], ['/audit?digest=sha256:abc', 'ada', 400],
  ])('answers %s to %s with %d', async (path, name, status) => {
    expect((await ask(path, name)).status).toBe(status)
  })

  it('is nobody else’s, and an auditor pulls and changes nothing', async () => {
    expect((await fetch(new URL('/api/varve/v1/audit', server.url))).status).toBe(401)
    const pull = await fetch(new URL('/v2/team/app/manifests/v1', server.url), { headers: { Authorization: `Basic ${Buffer.from(`ada:${PASSWORD}`).toString('base64')}` } })
    expect(pull.status).toBe(404)
    const body = '{"auditor":true}'
    for (const name of ['ada', 'paul']) {
      expect((await ask(`/users/${ids.get('stella') ?? 0}/auditor`, name, { 'Content-Type': 'application/json' }, { method: 'PUT', body })).status).toBe(403)
    }
    const gone = await ask(`/users/${ids.get('ada') ?? 0}/auditor`, 'admin', { 'Content-Type': 'application/json' }, { method: 'PUT', body: '{"auditor":false}' })
    expect(gone.status).toBe(200)
    expect((await ask('/audit', 'ada')).status).toBe(403)
  })
})
