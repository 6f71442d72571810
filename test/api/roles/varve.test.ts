import { beforeAll, describe, expect, it } from '@jest/globals'
import { routes } from '../../../src/api/varve/routes.ts'
import { makeRobot, makeRobotWith, PULL } from '../../support/doors.ts'
import { USERS } from './callers.ts'
import { administrators, bare, everybody, expectAnswersOf, expectOnRegistry, those } from './probes.ts'
import type { Probe, RegistryProbe } from './probes.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/* Role by action, private and public, through what /api/varve/v1 has of its own: who could do what, the trail, and workloads. */

let world: World
beforeAll(async () => {
  world = await startWorld()
})

const V1 = '/api/varve/v1'

const ofAccess: Omit<Probe, 'door'> = { needs: 'access:read', sees: 'project:read', passes: '200' }
/** A robot of the registry may be given all trails by a name of their own. */
const ofTrail: Omit<Probe, 'door'> = { needs: 'log:list', orOnRegistry: 'audit-log:list', sees: 'project:read', passes: '200' }
const ofWorkloads: Pick<Probe, 'sees' | 'passes' | 'named'> = {
  sees: 'robot:read',
  passes: '200',
  async named({ server, newName }, project) {
    return { robot: String((await makeRobot(server, project, newName(), PULL)).id) }
  },
}

const IN_PROJECT: readonly Probe[] = [
  { door: `GET ${V1}/access?repository={project}/app&action=pull`, ...ofAccess },
  // In one repository also where it is asked of oneself: what one reaches is asked without.
  { door: `GET ${V1}/access?repository={project}/app&action=pull&user=guest`, ...ofAccess },
  { door: `GET ${V1}/audit?project={project}`, ...ofTrail },
  { door: `GET ${V1}/audit?repository={project}/app`, ...ofTrail },
  { door: `GET ${V1}/robots/{robot}/workloads`, needs: 'robot:read', ...ofWorkloads },
  { door: `PUT ${V1}/robots/{robot}/workloads`, needs: 'robot:update', sent: () => ({ body: '[]' }), ...ofWorkloads },
]

const userNamed = (name: string): Pick<RegistryProbe, 'named'> => ({ named: (asked) => ({ user: String(asked.userNumber(name)) }) })
const ofSystemRobot: Pick<RegistryProbe, 'passes' | 'refused' | 'named'> = {
  passes: '200',
  refused: (caller) => (those('robot:read')(caller) ? '403' : '404'),
  async named({ server, newName }) {
    return { robot: String((await makeRobotWith(server, newName(), 'system', { kind: 'project', namespace: '*', access: [PULL] })).id) }
  },
}

const ON_REGISTRY: readonly RegistryProbe[] = [
  { door: `GET ${V1}/openapi.json`, who: everybody, passes: '200' },
  { door: `GET ${V1}/access?user=stranger`, who: (caller) => those('access:read')(caller) || caller === 'stranger', passes: '200' },
  // Nor does a robot ask about itself.
  { door: `GET ${V1}/access?robot=robot$robot-rover`, who: those('access:read'), passes: '200' },
  { door: `GET ${V1}/audit`, who: (caller) => those('log:list')(caller) || those('audit-log:list')(caller), passes: '200' },
  // A robot that may update users would else give what it has not.
  { door: `PUT ${V1}/users/{user}/auditor`, who: administrators, passes: '200', body: { auditor: false }, ...userNamed('stranger') },
  { door: `GET ${V1}/robots/{robot}/workloads`, who: those('robot:read'), ...ofSystemRobot },
  { door: `PUT ${V1}/robots/{robot}/workloads`, who: those('robot:update'), body: [], ...ofSystemRobot },
]

describe('what each may ask of Varve', () => {
  it.each(IN_PROJECT.map((each) => [each.door, each] as const))('in a project, by %s', async (_door, each) => {
    await expectAnswersOf(world, each)
  })

  it.each(ON_REGISTRY.map((each) => [each.door, each] as const))('of all of it, by %s', async (_door, each) => {
    await expectOnRegistry(world, each)
  })

  it('is asked of every route', () => {
    const asked = [...IN_PROJECT, ...ON_REGISTRY].map(({ door }) => bare(door))
    expect([...new Set(asked)].sort()).toEqual(routes.map(({ method, path }) => bare(`${method.toUpperCase()} ${V1}${path}`)).sort())
  })

  it('is, for every user, what they could reach themselves', async () => {
    for (const name of USERS) {
      const { status } = await world.ask(name, 'private', 'GET', `${V1}/access?user=${name}`)
      expect([name, status]).toEqual([name, 200])
    }
  })

  it('shows in the trail of a project nothing of another', async () => {
    for (const caller of ['projectAdmin', 'auditor', 'robot-reader', 'robot-manager']) {
      const response = await world.ask(caller, 'private', 'GET', `${V1}/audit?project=private&limit=10000`)
      const { entries } = (await response.json()) as { readonly entries: readonly { readonly repository?: string }[] }
      const repositories = new Set(entries.flatMap(({ repository }) => (repository === undefined ? [] : [repository])))
      expect([caller, [...repositories]]).toEqual([caller, ['private/app']])
    }
  })
})
