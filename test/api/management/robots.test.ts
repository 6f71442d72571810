import { beforeAll, describe, expect, it } from '@jest/globals'
import { managementClient } from '../../support/management.ts'
import type { ApiAnswer, As, ManagementClient } from '../../support/management.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'

const SECRET = 'Chosen-for-tests-1'
const PULL = { resource: 'repository', action: 'pull' }
const PUSH = { resource: 'repository', action: 'push' }
const MAKE = { resource: 'robot', action: 'create' }
const owner = { name: 'owner', secret: SECRET }
const stranger = { name: 'stranger', secret: SECRET }
let server: VarveServer
let api: ManagementClient
/** The number of the project that the owner made. */
let project: number

const basic = ({ name, secret }: { readonly name: string; readonly secret: string }): string => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

/** Whether somebody may push into a project, as the registry itself answers. */
async function pushes(as: { readonly name: string; readonly secret: string }, repository: string): Promise<number> {
  const response = await fetch(`${server.url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers: { Authorization: basic(as) } })
  return response.status
}

const inProject = (namespace: string, ...access: object[]) => ({ kind: 'project', namespace, access })
const inSystem = (...access: object[]) => ({ kind: 'system', namespace: '/', access })

async function newRobot(body: object, as?: As): Promise<{ readonly id: number; readonly name: string; readonly secret: string; readonly expires_at: number }> {
  const answer = await api.ask('POST', '/robots', { body: { duration: -1, ...body }, ...(as === undefined ? {} : { as }) })
  if (answer.status !== 201) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body as { id: number; name: string; secret: string; expires_at: number }
}

const names = ({ body }: ApiAnswer): string[] => (body as { name: string }[]).map(({ name }) => name)

beforeAll(async () => {
  server = await startVarve()
  api = managementClient(server)
  for (const { name } of [owner, stranger]) await api.created('/users', { username: name, email: `${name}@example.org`, password: SECRET })
  expect(await pushes(owner, 'team/app')).toBe(202)
  project = ((await api.ask('GET', '/projects/team')).body as { project_id: number }).project_id
})

describe('a robot of a project', () => {
  it('is made by those who administer it, logs in, and does what it was given', async () => {
    const robot = await newRobot({ name: 'ci', description: 'builds', level: 'project', permissions: [inProject('team', PULL, PUSH, PULL)] }, owner)
    expect(robot).toEqual({ id: robot.id, name: 'robot$team+ci', secret: expect.stringMatching(/^[A-Za-z0-9]{32}$/), creation_time: expect.any(String), expires_at: -1 })
    expect(await pushes(robot, 'team/app')).toBe(202)
    expect(await pushes(robot, 'library/app')).toBe(403)

    const { body } = await api.ask('GET', `/robots/${robot.id}`, { as: owner })
    const access = [PULL, PUSH].map((each) => ({ ...each, effect: 'allow' }))
    expect(body).toEqual({
      id: robot.id, name: 'robot$team+ci', description: 'builds', level: 'project', duration: -1, editable: true, disable: false, expires_at: -1,
      permissions: [{ kind: 'project', namespace: 'team', access }], creator_type: 'local', creator_ref: expect.any(Number),
      creation_time: expect.any(String), update_time: expect.any(String),
    })
    expect(await api.asked('POST', '/robots', { as: owner, body: { name: 'ci', level: 'project', permissions: [inProject('team', PULL)] } })).toBe('409 CONFLICT')
    expect(await api.asked('DELETE', `/robots/${robot.id}`, { as: owner })).toBe('200')
    expect(await pushes(robot, 'team/app')).toBe(401)
    expect(await api.asked('GET', `/robots/${robot.id}`, { as: owner })).toBe('404 NOT_FOUND')
    const again = await newRobot({ name: 'ci', level: 'project', permissions: [inProject('team', PULL)] }, owner)
    expect(await api.asked('DELETE', `/robots/${again.id}`)).toBe('200')
  })

  it('is not there for those who may not see it, as one that never was', async () => {
    const { id } = await newRobot({ name: 'hidden', level: 'project', permissions: [inProject('team', PULL)] }, owner)
    for (const [method, body] of [['GET', undefined], ['PUT', { permissions: [inProject('team', PULL)] }], ['PATCH', {}], ['DELETE', undefined]] as const) {
      const [there, never] = [await api.ask(method, `/robots/${id}`, { as: stranger, body }), await api.ask(method, '/robots/99999', { as: stranger, body })]
      expect([there.status, there.body]).toEqual([404, never.body])
      expect(await api.asked(method, `/robots/${id}`, { as: 'nobody', body })).toBe('401 UNAUTHORIZED')
    }
    const create = (namespace: string) => api.ask('POST', '/robots', { as: stranger, body: { name: 'x', level: 'project', permissions: [inProject(namespace, PULL)] } })
    expect([(await create('team')).status, (await create('team')).body]).toEqual([404, (await create('not-there')).body])
    const list = (number: number) => api.ask('GET', `/robots?q=Level%3Dproject,ProjectID%3D${number}`, { as: stranger })
    expect([(await list(project)).status, (await list(project)).body]).toEqual([404, (await list(99_999)).body])
    for (const path of ['/projects/team/robots', '/projects/not-there/robots']) expect(await api.asked('GET', path, { as: stranger })).toBe('404 NOT_FOUND')
  })
})

describe('a robot of the system', () => {
  it('is for administrators', async () => {
    const body = { name: 'everywhere', level: 'system', permissions: [inProject('*', PUSH), inSystem({ resource: 'project', action: 'list' })] }
    expect(await api.asked('POST', '/robots', { as: owner, body })).toBe('403 FORBIDDEN')
    expect(await api.asked('POST', '/robots', { as: 'nobody', body })).toBe('401 UNAUTHORIZED')
    expect(await api.asked('GET', '/robots', { as: owner })).toBe('403 FORBIDDEN')
    const robot = await newRobot(body)
    expect(robot.name).toBe('robot$everywhere')
    for (const repository of ['team/app', 'library/app']) expect(await pushes(robot, repository)).toBe(202)
    expect(await api.asked('GET', `/robots/${robot.id}`, { as: owner })).toBe('404 NOT_FOUND')
  })

  it('gives other robots no more than it has', async () => {
    const READ = { resource: 'project', action: 'read' }
    const maker = await newRobot({ name: 'maker', level: 'system', permissions: [inSystem(MAKE), inProject('team', PULL, MAKE, READ)] })
    const create = (level: string, ...permissions: object[]) =>
      api.ask('POST', '/robots', { as: maker, body: { name: 'by-maker', level, permissions } })
    expect((await create('project', inProject('team', PUSH))).status).toBe(403)
    expect((await create('system', inProject('team', PULL), inProject('*', PULL))).status).toBe(403)
    expect((await create('system', inSystem(MAKE, { resource: 'user', action: 'create' }))).status).toBe(403)
    const [unseen, never] = [await create('system', inProject('library', PULL)), await create('system', inProject('not-there', PULL))]
    expect([unseen.status, unseen.body]).toEqual([404, never.body])
    const made = await create('project', inProject('team', PULL))
    expect(made.status).toBe(201)
    const { id } = made.body as { id: number }
    expect((await api.ask('GET', `/robots/${id}`)).body).toMatchObject({ creator_type: 'robot', creator_ref: maker.id })
  })

  it('makes none that lasts longer than itself', async () => {
    const permissions = [inProject('team', PULL, MAKE)]
    const maker = await newRobot({ name: 'ending', level: 'system', permissions: [inSystem(MAKE), ...permissions], duration: 7 })
    const create = (body: object) => api.ask('POST', '/robots', { as: maker, body: { level: 'project', permissions, ...body } })
    const older = (body: object) => api.ask('POST', '/projects/team/robots', { as: maker, body: { access: [PULL], ...body } })
    // 0: as the registry is set, which is 30 days.
    for (const duration of [-1, 0, 7, 30]) expect([duration, (await create({ name: 'longer', duration })).status]).toEqual([duration, 403])
    expect((await create({ name: 'everywhere-longer', level: 'system', duration: -1 })).status).toBe(403)
    for (const expires of [-1, 0, maker.expires_at + 1]) expect([expires, (await older({ name: 'longer', expires_at: expires })).status]).toEqual([expires, 403])
    expect((await create({ name: 'shorter', duration: 6 })).status).toBe(201)
    expect((await older({ name: 'as-long', expires_at: maker.expires_at })).status).toBe(201)
  })

  it('that manages users takes nothing that administrators or auditors have', async () => {
    const access = ['create', 'update', 'delete', 'read', 'list'].map((action) => ({ resource: 'user', action }))
    const { name, secret } = await newRobot({ name: 'hr', level: 'system', permissions: [inSystem(...access)] })
    const id = await api.created('/users', { username: 'hired', email: 'hired@example.org', password: SECRET }, { name, secret })
    expect(await api.asked('PUT', `/users/${id}/password`, { as: { name, secret }, body: { new_password: 'Other-than-before-1' } })).toBe('200')
    expect(await api.asked('PUT', `/users/${id}/sysadmin`, { as: { name, secret }, body: { sysadmin_flag: true } })).toBe('403 FORBIDDEN')
    for (const [method, path, body] of [['PUT', '/users/1/password', { new_password: 'Other-than-before-1' }], ['PUT', '/users/1', { email: 'me@example.org' }], ['DELETE', '/users/1', undefined]] as const) {
      expect(await api.asked(method, path, { as: { name, secret }, body })).toBe('403 FORBIDDEN')
    }
    const auditor = await api.created('/users', { username: 'auditor', email: 'auditor@example.org', password: SECRET })
    const granted = await fetch(`${server.url}/api/varve/v1/users/${auditor}/auditor`, { method: 'PUT', headers: { Authorization: server.authorization }, body: '{"auditor":true}' })
    expect(granted.status).toBe(200)
    for (const [method, path, body] of [['PUT', `/users/${auditor}/password`, { new_password: 'Other-than-before-1' }], ['PUT', `/users/${auditor}`, { email: 'me@example.org' }], ['DELETE', `/users/${auditor}`, undefined]] as const) {
      expect(await api.asked(method, path, { as: { name, secret }, body })).toBe('403 FORBIDDEN')
    }
    expect(await api.asked('GET', `/users/${auditor}`, { as: { name: 'auditor', secret: SECRET } })).toBe('200')
    expect(await api.asked('GET', '/users/current', { as: { name, secret } })).toBe('412 PRECONDITION')
    expect(await api.asked('DELETE', `/users/${id}`, { as: { name, secret } })).toBe('200')
  })
})

describe('a robot', () => {
  it.each([
    { name: 'Upper' }, { name: 'a+b' }, { name: '' }, { level: 'other' }, { duration: -2 }, { duration: 2 ** 31 }, { duration: 2_000_000_000 }, { permissions: [] },
    { permissions: [inProject('team')] }, { permissions: [inProject('team', { resource: 'repository', action: '*' })] }, { permissions: [inProject('*', PULL)] },
    { permissions: [inProject('team', { ...PULL, effect: 'deny' })] }, { permissions: [inSystem(MAKE)] }, { permissions: [inProject('team', PULL), inProject('team', PUSH)] },
    { permissions: [{ kind: 'system', namespace: 'team', access: [MAKE] }], level: 'system' }, { permissions: [inSystem(PULL)], level: 'system' }, { secret: 'weak' },
    { permissions: [inProject('team', { resource: 'constructor', action: 'name' })] }, { description: 'a\u0000' },
  ])('is refused with %j', async (wrong) => {
    expect(await api.asked('POST', '/robots', { body: { name: 'wrong', level: 'project', permissions: [inProject('team', PULL)], ...wrong } })).toBe('400 BAD_REQUEST')
  })

  it('is disabled, given other permissions and another duration, and keeps name and level', async () => {
    const robot = await newRobot({ name: 'changing', level: 'project', permissions: [inProject('team', PUSH)], duration: 7 })
    const change = async (body: object) => api.asked('PUT', `/robots/${robot.id}`, { as: owner, body: { permissions: [inProject('team', PUSH)], ...body } })
    const seen = async () => (await api.ask('GET', `/robots/${robot.id}`)).body as { duration: number; expires_at: number; creation_time: string }
    const first = await seen()
    expect(first).toMatchObject({ duration: 7, expires_at: robot.expires_at })
    expect(Math.abs(first.expires_at - Date.parse(first.creation_time) / 1_000 - 7 * 86_400)).toBeLessThan(3)

    expect(await change({ disable: true, description: 'stopped' })).toBe('200')
    expect(await seen()).toMatchObject({ disable: true, description: 'stopped', expires_at: first.expires_at })
    expect(await pushes(robot, 'team/app')).toBe(401)
    expect(await change({ duration: 30 })).toBe('200')
    expect(await seen()).toMatchObject({ disable: false, duration: 30 })
    expect(await pushes(robot, 'team/app')).toBe(202)
    expect(await change({ duration: -1, permissions: [inProject('team', PULL)] })).toBe('200')
    expect(await seen()).toMatchObject({ duration: -1, expires_at: -1 })
    expect(await pushes(robot, 'team/app')).toBe(403)

    for (const wrong of [{ name: 'robot$team+other' }, { level: 'system' }, { permissions: [inProject('library', PULL)] }]) expect(await change(wrong)).toMatch(/^40[04] /)
    expect(await change({ name: 'robot$team+changing', level: 'project', duration: null })).toBe('200')
  })

  it('gets another secret, given or made, which ends the old one', async () => {
    const robot = await newRobot({ name: 'refreshed', level: 'project', permissions: [inProject('team', PUSH)], secret: 'Given-at-the-start-1' })
    expect(robot.secret).toBe('Given-at-the-start-1')
    const refresh = (body: object) => api.ask('PATCH', `/robots/${robot.id}`, { as: owner, body })
    expect(await pushes(robot, 'team/app')).toBe(202)
    const made = (await refresh({})).body as { secret: string }
    expect(made.secret).toMatch(/^[A-Za-z0-9]{32}$/)
    expect(await pushes(robot, 'team/app')).toBe(401)
    expect(await pushes({ ...robot, ...made }, 'team/app')).toBe(202)
    expect((await refresh({ secret: 'weak' })).status).toBe(400)
    expect((await refresh({ secret: 'Given-by-somebody-1' })).body).toEqual({})
    expect(await pushes({ ...robot, secret: 'Given-by-somebody-1' }, 'team/app')).toBe(202)
    const { body } = await api.ask('GET', '/robots?q=Level%3Dproject,ProjectID%3D1')
    expect(JSON.stringify(body)).not.toMatch(/secret|verifier|argon2|hmac/)
  })
})

describe('the list of robots', () => {
  it('holds those of the system or of one project, by name and in pages', async () => {
    for (const name of ['list-a', 'list-b', 'list-c']) await newRobot({ name, level: 'project', permissions: [inProject('team', PULL)] })
    await newRobot({ name: 'list-system', level: 'system', permissions: [inProject('*', PULL)] })
    const inTeam = `q=Level%3Dproject,ProjectID%3D${project},name%3D~list`
    const page = await api.ask('GET', `/robots?${inTeam}&sort=-name&page_size=2`, { as: owner })
    expect(names(page)).toEqual(['robot$team+list-c', 'robot$team+list-b'])
    expect(page.headers.get('X-Total-Count')).toBe('3')
    expect(names(await api.ask('GET', '/robots?q=name%3D~list'))).toEqual(['robot$list-system'])
    expect(names(await api.ask('GET', '/robots?q=Level%3Dsystem,name%3Drobot$list-system'))).toEqual(['robot$list-system'])
    expect(names(await api.ask('GET', '/projects/team/robots?q=name%3Dteam%2Blist-a', { as: owner }))).toEqual(['robot$team+list-a'])
    for (const wrong of ['q=Level%3Dproject', 'q=Level%3Dother', 'q=Level%3Dproject,ProjectID%3Dteam']) expect(await api.asked('GET', `/robots?${wrong}`)).toBe('400 BAD_REQUEST')
  })
})

describe('the older way to the robots of a project', () => {
  it('makes, shows, disables and deletes them', async () => {
    const body = { name: 'old', access: [{ resource: `/project/${project}/repository`, action: 'push', effect: 'allow' }] }
    const made = await api.ask('POST', '/projects/team/robots', { as: owner, body })
    const robot = made.body as { id: number; name: string; secret: string }
    expect(made.headers.get('Location')).toBe(`/api/v2.0/projects/team/robots/${robot.id}`)
    expect(await pushes(robot, 'team/app')).toBe(202)
    const path = `/projects/${project}/robots/${robot.id}`
    expect((await api.ask('GET', path, { as: owner })).body).toMatchObject({ name: 'robot$team+old', duration: 30, permissions: [{ namespace: 'team', access: [{ resource: 'repository' }] }] })
    expect(await api.asked('GET', `/projects/library/robots/${robot.id}`)).toBe('404 NOT_FOUND')
    expect(await api.asked('PUT', path, { as: owner, body: { disable: true } })).toBe('200')
    expect(await pushes(robot, 'team/app')).toBe(401)
    expect(await api.asked('DELETE', path, { as: owner })).toBe('200')
    expect(await api.asked('GET', path, { as: owner })).toBe('404 NOT_FOUND')
    expect(await api.asked('POST', '/projects/team/robots', { as: owner, body: { ...body, expires_at: 1 } })).toBe('400 BAD_REQUEST')
    expect(await api.asked('POST', '/projects/team/robots', { as: owner, body: { ...body, access: [{ resource: '/project/1/repository', action: 'push' }] } })).toBe('400 BAD_REQUEST')
  })
})
