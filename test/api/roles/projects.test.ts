import { beforeAll, describe, expect, it } from '@jest/globals'
import { routes } from '../../../src/api/management/routes.ts'
import { makeRobot, PULL } from '../../support/doors.ts'
import { CALLERS, EVERYTHING, PROJECTS, ROBOTS, mayIn, permission } from './callers.ts'
import { bare, expectAnswersOf } from './probes.ts'
import type { Probe } from './probes.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/* Role by action, private and public, through what /api/v2.0 has of projects and of their robots. */

let world: World
beforeAll(async () => {
  world = await startWorld()
})

const probe = (door: string, passes: string, needs: string, body?: unknown, more: Partial<Probe> = {}): Probe => {
  const [method = '', path = ''] = door.split(' ')
  return {
    door: `${method} /api/v2.0${path}`,
    needs,
    sees: 'project:read',
    passes,
    named: ({ thing }, project) => ({ member: thing(project, 'member'), number: thing(project, 'number') }),
    ...(body === undefined ? {} : { sent: () => ({ body: JSON.stringify(body) }) }),
    ...more,
  }
}

/** A robot that can be changed or deleted: one for each question. */
const aRobot: Partial<Probe> = {
  async named({ server, newName }, project) {
    return { robot: String((await makeRobot(server, project, newName(), PULL)).id) }
  },
}
/** Below its own path a robot is there for those who may read robots, whatever else of the project they may read. */
const aRobotByItself: Partial<Probe> = { ...aRobot, sees: 'robot:read' }

const permissionsOf = (namespace: string, resource: string) => [{ kind: 'project', namespace, access: [{ resource, action: 'pull' }] }]

const PROBES: readonly Probe[] = [
  probe('GET /projects/{project}', '200', 'project:read'),
  probe('PUT /projects/{project}', '400 BAD_REQUEST', 'project:update', { registry_id: 1 }),
  probe('DELETE /projects/{project}', '412 PRECONDITION', 'project:delete'),
  probe('HEAD /projects?project_name={project}', '200', 'project:read', undefined, { afterLogin: true }),
  probe('GET /projects/{project}/_deletable', '200', 'project:delete'),
  probe('GET /projects/{project}/summary', '200', 'project:read'),
  probe('GET /projects/{project}/logs', '200', 'log:list'),
  probe('GET /projects/{project}/auditlog-exts', '200', 'log:list'),
  probe('GET /projects/{project}/members', '200', 'member:list'),
  probe('POST /projects/{project}/members', '400 BAD_REQUEST', 'member:create', { role_id: 0 }),
  probe('GET /projects/{project}/members/{member}', '200', 'member:read'),
  probe('PUT /projects/{project}/members/{member}', '400 BAD_REQUEST', 'member:update', { role_id: 0 }),
  probe('DELETE /projects/{project}/members/{member}', '200', 'member:delete', undefined, {
    async named({ admin, newName }, project) {
      const member_group = { group_name: newName(), group_type: 3 }
      return { member: String(await admin.make(`/projects/${project}/members`, { role_id: 3, member_group })) }
    },
  }),
  probe('GET /projects/{project}/metadatas/', '200', 'metadata:read'),
  probe('GET /projects/{project}/metadatas/public', '200', 'metadata:read'),
  probe('POST /projects/{project}/metadatas/', '400 BAD_REQUEST', 'metadata:create', {}),
  probe('PUT /projects/{project}/metadatas/public', '400 BAD_REQUEST', 'metadata:update', {}),
  probe('DELETE /projects/{project}/metadatas/public', '400 BAD_REQUEST', 'metadata:delete'),
  probe('GET /projects/{project}/robots', '200', 'robot:list'),
  probe('POST /projects/{project}/robots', '400 BAD_REQUEST', 'robot:create', {
    name: 'new',
    access: [{ resource: 'nothing', action: 'pull' }],
  }),
  probe('GET /projects/{project}/robots/{robot}', '200', 'robot:read', undefined, aRobot),
  probe('PUT /projects/{project}/robots/{robot}', '200', 'robot:update', { disable: true }, aRobot),
  probe('DELETE /projects/{project}/robots/{robot}', '200', 'robot:delete', undefined, aRobot),
  probe('GET /robots?q=Level%3Dproject,ProjectID%3D{number}', '200', 'robot:list'),
  probe('POST /robots', '400 BAD_REQUEST', 'robot:create', undefined, {
    sent(_world, project) {
      return { body: JSON.stringify({ name: 'new', level: 'project', permissions: permissionsOf(project, 'nothing') }) }
    },
  }),
  probe('GET /robots/{robot}', '200', 'robot:read', undefined, aRobotByItself),
  probe('PUT /robots/{robot}', '200', 'robot:update', undefined, {
    ...aRobotByItself,
    sent: (_world, project) => ({ body: JSON.stringify({ disable: true, permissions: permissionsOf(project, 'repository') }) }),
  }),
  probe('PATCH /robots/{robot}', '200', 'robot:update', {}, aRobotByItself),
  probe('DELETE /robots/{robot}', '200', 'robot:delete', undefined, aRobotByItself),
]

describe('what each may do in a project', () => {
  it.each(PROBES.map((each) => [each.door, each] as const))('by %s', async (_door, each) => {
    await expectAnswersOf(world, each)
  })

  it('is asked of every route that is about one', () => {
    const all = routes.filter(({ method, path }) => /^\/(projects\/\{|robots)/.test(path) || `${method} ${path}` === 'head /projects')
    const asked = PROBES.map(({ door }) => bare(door.replace('metadatas/public', 'metadatas/{name}')))
    expect([...new Set(asked)].sort()).toEqual(all.map(({ method, path }) => bare(`${method.toUpperCase()} /api/v2.0${path}`)).sort())
  })

  it('is what they are told of their own permissions, in every cell of the tables', async () => {
    for (const project of PROJECTS) {
      for (const caller of CALLERS) {
        const scope = `/project/${world.thing(project, 'number')}`
        const response = await world.ask(caller, project, 'GET', `/api/v2.0/users/current/permissions?relative=true&scope=${scope}`)
        if (caller === 'nobody') {
          expect(response.status).toBe(401)
          continue
        }
        const shown = (await response.json()) as readonly { readonly resource: string; readonly action: string }[]
        const found = new Set(shown.map(({ resource, action }) => `${resource === '.' ? 'project' : resource}:${action}`))
        const texts = EVERYTHING.map(({ resource, action }) => `${resource}:${action}`)
        const wanted = texts.filter((text) => mayIn(project, caller, permission(text)))
        expect([project, caller, texts.filter((text) => found.has(text))]).toEqual([project, caller, wanted])
      }
    }
  })

  it('is what the list of projects and the statistics count', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const project of PROJECTS) {
      for (const caller of CALLERS) {
        const response = await world.ask(caller, project, 'GET', '/api/v2.0/projects')
        const listed = (await response.json()) as readonly { readonly name: string }[]
        const names = listed.map(({ name }) => name).sort()
        const counted = await world.ask(caller, project, 'GET', '/api/v2.0/statistics')
        const { private_project_count: hidden, public_project_count: open } = (await counted.json()) as Readonly<Record<string, number>>
        found.push(`${project} ${caller}: ${names.join()} ${counted.status} ${hidden} ${open}`)
        const reads = (['library', 'other', 'private', 'public'] as const).filter((each) => {
          // A robot of one project sees none of the other's, which it is asked in here as well.
          const isSeen = each === project || each === 'public' || ROBOTS[caller]?.where !== 'own'
          return isSeen && mayIn(each, caller, permission('project:read'))
        })
        const hiddenCount = reads.filter((each) => each !== 'public').length
        wanted.push(`${project} ${caller}: ${reads.join()} ${caller === 'nobody' ? '401 undefined undefined' : `200 ${hiddenCount} 1`}`)
      }
    }
    expect(found).toEqual(wanted)
  })

  it('shows limits and members in the summary to those who may see them', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const project of PROJECTS) {
      for (const caller of CALLERS) {
        if (!mayIn(project, caller, permission('project:read'))) continue
        const summary = (await (await world.ask(caller, project, 'GET', `/api/v2.0/projects/${project}/summary`)).json()) as object
        found.push(`${project} ${caller}: ${'quota' in summary} ${'guest_count' in summary}`)
        const [limits, members] = ['quota:read', 'member:list'].map((text) => mayIn(project, caller, permission(text)))
        wanted.push(`${project} ${caller}: ${String(limits)} ${String(members)}`)
      }
    }
    expect(found).toEqual(wanted)
  })
})
