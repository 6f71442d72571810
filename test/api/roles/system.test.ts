import { beforeAll, describe, expect, it } from '@jest/globals'
import { routes } from '../../../src/api/management/routes.ts'
import { makeRobotWith, PASSWORD, PULL } from '../../support/doors.ts'
import { CALLERS, EVERYTHING_ON_REGISTRY, ROBOTS, mayOnRegistry } from './callers.ts'
import { administrators, bare, everybody, expectOnRegistry, those, whoeverLogsIn } from './probes.ts'
import type { RegistryProbe } from './probes.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/*
 * Who may do what through what /api/v2.0 has of the registry itself: users, groups, robots of the system, settings. A role in a project
 * lets nobody do any of it, but that who administers one is told what robots can be given.
 */

let world: World
beforeAll(async () => {
  world = await startWorld()
})

const API = '/api/v2.0'

const probe = (door: string, passes: string, who: RegistryProbe['who'], more: Partial<RegistryProbe> = {}): RegistryProbe => ({
  door: door.replace(' ', ` ${API}`), passes, who, ...more,
})

const isPerson = (caller: string): boolean => whoeverLogsIn(caller) && ROBOTS[caller] === undefined
/** Users who may do it, and whom it is about. */
const thoseOrStranger = (needs: string) => (caller: string): boolean => those(needs)(caller) || caller === 'stranger'
const noneOfThem = (): boolean => false

const aboutStranger: Partial<RegistryProbe> = { named: ({ userNumber }) => ({ user: String(userNumber('stranger')) }) }
/** The first user is an administrator. */
const aboutAdministrator: Partial<RegistryProbe> = { named: () => ({ user: '1' }) }
const aboutNobody: Partial<RegistryProbe> = { named: () => ({ user: String(2 ** 31 - 1) }) }

const aGroup: Partial<RegistryProbe> = {
  async named({ admin, newName }) {
    return { group: String(await admin.make('/usergroups', { group_name: newName(), group_type: 3 })) }
  },
}

const pullingEverywhere = { kind: 'project', namespace: '*', access: [PULL] } as const
/** There for those who may read robots of the system. */
const aRobot: Partial<RegistryProbe> = {
  refused: (caller) => (those('robot:read')(caller) ? '403' : '404'),
  async named({ server, newName }) {
    return { robot: String((await makeRobotWith(server, newName(), 'system', pullingEverywhere)).id) }
  },
}
const nothingToGive = { kind: 'system', namespace: '/', access: [{ resource: 'nothing', action: 'pull' }] }

const makesProject = (who: RegistryProbe['who']) => probe('POST /projects', '400 BAD_REQUEST', who, { body: { project_name: 'No name' } })

const PROBES: readonly RegistryProbe[] = [
  probe('GET /users', '200', those('user:list')),
  probe('POST /users', '400 BAD_REQUEST', those('user:create'), { body: { username: 'new', password: 'x' } }),
  probe('GET /users/search?username=a', '200', whoeverLogsIn),
  probe('GET /users/current', '200', isPerson, { refused: () => '412' }),
  probe('GET /users/current/permissions?scope=/system', '200', whoeverLogsIn),
  probe('GET /users/{user}', '200', thoseOrStranger('user:read'), aboutStranger),
  probe('GET /users/{user}', '200', those('user:read'), aboutAdministrator),
  // Whether there is one is told to those who may read all of them.
  probe('GET /users/{user}', '404 NOT_FOUND', those('user:read'), aboutNobody),
  probe('PUT /users/{user}', '200', thoseOrStranger('user:update'), { body: { comment: 'of lakes' }, ...aboutStranger }),
  // A robot that may update users would else make itself an administrator's equal, here and below.
  probe('PUT /users/{user}', '200', administrators, { body: { comment: 'of lakes' }, ...aboutAdministrator }),
  probe('DELETE /users/{user}', '404 NOT_FOUND', those('user:delete'), aboutNobody),
  probe('DELETE /users/{user}', '200', noneOfThem, aboutAdministrator),
  probe('PUT /users/{user}/sysadmin', '200', administrators, { body: { sysadmin_flag: false }, ...aboutStranger }),
  probe('PUT /users/{user}/password', '400 BAD_REQUEST', thoseOrStranger('user:update'), {
    body: { old_password: PASSWORD, new_password: 'x' }, ...aboutStranger,
  }),
  probe('PUT /users/{user}/cli_secret', '412 PRECONDITION', thoseOrStranger('user:update'), { body: {}, ...aboutStranger }),
  probe('PUT /users/{user}/cli_secret', '412 PRECONDITION', administrators, { body: {}, ...aboutAdministrator }),

  probe('GET /usergroups', '200', those('user-group:list')),
  probe('POST /usergroups', '400 BAD_REQUEST', those('user-group:create'), { body: { group_name: 'new', group_type: 2 } }),
  probe('GET /usergroups/search?groupname=a', '200', whoeverLogsIn),
  probe('GET /usergroups/{group}', '200', those('user-group:read'), aGroup),
  probe('PUT /usergroups/{group}', '400 BAD_REQUEST', those('user-group:update'), { body: { group_name: '' }, ...aGroup }),
  probe('DELETE /usergroups/{group}', '200', those('user-group:delete'), aGroup),

  probe('GET /robots', '200', those('robot:list')),
  probe('POST /robots', '400 BAD_REQUEST', those('robot:create'), { body: { name: 'new', level: 'system', permissions: [nothingToGive] } }),
  probe('GET /robots/{robot}', '200', those('robot:read'), aRobot),
  probe('PUT /robots/{robot}', '200', those('robot:update'), { body: { disable: true, permissions: [pullingEverywhere] }, ...aRobot }),
  probe('PATCH /robots/{robot}', '200', those('robot:update'), { body: {}, ...aRobot }),
  probe('DELETE /robots/{robot}', '200', those('robot:delete'), aRobot),
  // For those who give them: also where that is in a project.
  probe('GET /permissions', '200', (caller) => administrators(caller) || caller === 'projectAdmin'),

  probe('GET /projects', '200', everybody),
  // Every user may, as a registry begins.
  makesProject((caller) => isPerson(caller) || those('project:create')(caller)),

  probe('GET /configurations', '200', those('configuration:read')),
  probe('GET /internalconfig', '200', those('configuration:read')),
  probe('PUT /configurations', '200', those('configuration:update'), { body: {} }),
  probe('POST /ldap/ping', '400 BAD_REQUEST', those('configuration:update'), { body: { ldap_url: 'nothing' } }),
  probe('GET /ldap/users/search', '400 BAD_REQUEST', those('ldap-user:list')),
  probe('GET /ldap/groups/search', '400 BAD_REQUEST', those('ldap-user:list')),
  probe('POST /ldap/users/import', '400 BAD_REQUEST', those('ldap-user:create'), { body: { ldap_uid_list: [] } }),
  probe('POST /system/oidc/ping', '400 BAD_REQUEST', those('configuration:update'), { body: { url: 'https://[' } }),

  probe('GET /ping', '200', everybody),
  probe('GET /health', '200', everybody),
  probe('GET /systeminfo', '200', everybody),
  probe('GET /systeminfo/getcert', '404 NOT_FOUND', everybody),
  probe('GET /systeminfo/volumes', '200', those('system-volumes:read')),
  // Of what they may read: which that is, audit-logs.test.ts says.
  probe('GET /audit-logs', '200', whoeverLogsIn),
  probe('GET /auditlog-exts', '200', whoeverLogsIn),
  probe('GET /statistics', '200', whoeverLogsIn),
  probe('GET /openapi.json', '200', everybody),
]

describe('what each may do on the registry itself', () => {
  it.each(PROBES.map((each) => [each.door, each] as const))('by %s (%#)', async (_door, each) => {
    await expectOnRegistry(world, each)
  })

  it('is asked of every route that is about no project', () => {
    const all = routes.filter(({ method, path }) => !path.startsWith('/projects/{') && `${method} ${path}` !== 'head /projects')
    const asked = new Set(PROBES.map(({ door }) => bare(door)))
    expect([...asked].sort()).toEqual(all.map(({ method, path }) => bare(`${method.toUpperCase()} ${API}${path}`)).sort())
  })

  it('is what they are told of their own permissions, in every cell of the tables', async () => {
    for (const caller of CALLERS.filter(whoeverLogsIn)) {
      const response = await world.ask(caller, 'private', 'GET', `${API}/users/current/permissions?relative=true&scope=/system`)
      const shown = (await response.json()) as readonly { readonly resource: string; readonly action: string }[]
      const texts = shown.map(({ resource, action }) => `${resource}:${action}`).sort()
      const theirs = EVERYTHING_ON_REGISTRY.filter((each) => mayOnRegistry(caller, each))
      expect([caller, texts]).toEqual([caller, theirs.map(({ resource, action }) => `${resource}:${action}`)])
    }
  })

  it('is, where only administrators make projects, no more than the tables say of projects', async () => {
    const restrict = (to: string) => world.admin.asked('PUT', '/configurations', { project_creation_restriction: to })
    expect(await restrict('adminonly')).toBe('200')
    await expectOnRegistry(world, makesProject(those('project:create')))
    expect(await restrict('everyone')).toBe('200')
  })

  it('shows how the registry is set up to those who log in alone, and all totals and permissions to administrators', async () => {
    for (const caller of CALLERS) {
      const read = async (path: string) => (await (await world.ask(caller, 'private', 'GET', `${API}${path}`)).json()) as object
      const [info, totals, given] = [await read('/systeminfo'), await read('/statistics'), await read('/permissions')]
      const isAdministrator = administrators(caller)
      expect([caller, 'harbor_version' in info]).toEqual([caller, whoeverLogsIn(caller)])
      expect([caller, 'total_project_count' in totals, 'system' in given]).toEqual([caller, isAdministrator, isAdministrator])
    }
  })
})
