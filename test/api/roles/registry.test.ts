import { beforeAll, describe, expect, it } from '@jest/globals'
import { repositoryRoutes } from '../../../src/api/oci/router.ts'
import { claimsOf } from '../../support/doors.ts'
import { OCI_MANIFEST, imageManifest, sha256 } from '../../support/registry.ts'
import { CALLERS, PROJECTS, mayIn, permission } from './callers.ts'
import type { Project } from './callers.ts'
import { expectAnswersOf } from './probes.ts'
import type { Probe } from './probes.ts'
import { startWorld } from './world.ts'
import type { World } from './world.ts'

/* Role by action, private and public, through /v2 and the door where its tokens are had. */

let world: World
beforeAll(async () => {
  world = await startWorld()
})

const CHUNK = 'abc'

const [PULL, PUSH] = [permission('repository:pull'), permission('repository:push')]

const probe = (door: string, action: string, passes: string, more: Partial<Probe> = {}): Probe => ({
  door,
  needs: `repository:${action}`,
  sees: 'repository:pull',
  passes,
  named: ({ thing }, project) => ({ digest: thing(project, 'digest'), layer: thing(project, 'layer') }),
  ...more,
})

const upload = (method: string, passes: string, query = '', more: Partial<Probe> = {}): Probe =>
  probe(`${method} /v2/{project}/app/blobs/uploads/{upload}${query}`, 'push', passes, {
    async named({ registry }, project) {
      const begun = await registry.call('POST', `/v2/${project}/app/blobs/uploads/`)
      return { upload: begun.headers.get('location')?.split('/').at(-1) ?? '' }
    },
    ...more,
  })

/** An index of nothing is what referrers of what is not there are, too. */
const referrers: Partial<Probe> = {
  hidden: '200, of 0',
  async tell(response) {
    const { manifests } = (await response.json()) as { readonly manifests?: readonly unknown[] }
    return manifests === undefined ? String(response.status) : `${response.status}, of ${manifests.length}`
  },
}

/** A manifest that can be deleted: each of its own bytes, and under a tag of its own. */
async function manifestToDelete({ registry, newName, thing }: World, project: Project): Promise<Readonly<Record<string, string>>> {
  const { config } = JSON.parse(thing(project, 'manifest')) as { readonly config: { readonly digest: string; readonly size: number } }
  const tag = newName()
  const { digest } = await registry.pushManifest(`${project}/app`, tag, imageManifest(config, [], { annotations: { tag } }))
  return { tag, digest }
}

const PROBES: readonly Probe[] = [
  probe('GET /v2/{project}/app/manifests/v1', 'pull', '200'),
  probe('HEAD /v2/{project}/app/manifests/v1', 'pull', '200'),
  probe('GET /v2/{project}/app/manifests/{digest}', 'pull', '200'),
  // Whether a name is taken is told to whoever might create the project, also below.
  probe('PUT /v2/{project}/app/manifests/again', 'push', '201', {
    hidden: '403',
    sent: ({ thing }, project) => ({ type: OCI_MANIFEST, body: thing(project, 'manifest') }),
  }),
  probe('DELETE /v2/{project}/app/manifests/{tag}', 'delete', '202', { named: manifestToDelete }),
  probe('DELETE /v2/{project}/app/manifests/{digest}', 'delete', '202', { named: manifestToDelete }),
  probe('GET /v2/{project}/app/blobs/{layer}', 'pull', '200'),
  probe('HEAD /v2/{project}/app/blobs/{layer}', 'pull', '200'),
  probe('DELETE /v2/{project}/app/blobs/{layer}', 'delete', '202', {
    named: async ({ registry, newName }, project) => ({ layer: await registry.pushBlob(`${project}/app`, Buffer.from(newName())) }),
  }),
  probe('POST /v2/{project}/app/blobs/uploads/', 'push', '202', { hidden: '403' }),
  upload('GET', '204'),
  upload('PATCH', '202', '', { sent: () => ({ body: CHUNK }) }),
  upload('PUT', '201', `?digest=${sha256(Buffer.from(CHUNK))}`, { sent: () => ({ body: CHUNK }) }),
  upload('DELETE', '204'),
  probe('GET /v2/{project}/app/tags/list', 'pull', '200'),
  probe('HEAD /v2/{project}/app/tags/list', 'pull', '200'),
  probe('GET /v2/{project}/app/referrers/{digest}', 'pull', '200, of 1', referrers),
  // Which has no body to tell them apart by: no more than that it is answered.
  probe('HEAD /v2/{project}/app/referrers/{digest}', 'pull', '200', { hidden: '200' }),
]

describe('what each may do in a repository', () => {
  it.each(PROBES.map((each) => [each.door, each] as const))('by %s', async (_door, each) => {
    await expectAnswersOf(world, each)
  })

  it('is asked of every route', () => {
    const routeOf = (path: string) => repositoryRoutes.findIndex(({ pattern }) => pattern.test(path))
    const asked = PROBES.map(({ door }) => {
      const [method = '', path = ''] = door.split(' ')
      return `${method} ${routeOf((path.split('?')[0] ?? '').replaceAll(/[{}]/g, ''))}`
    })
    const all = repositoryRoutes.flatMap(({ methods }, index) => Object.keys(methods).map((method) => `${method} ${index}`))
    expect([...new Set(asked)].sort()).toEqual(all.sort())
  })

  it('by a mount, which takes a pull where the layer comes from', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const project of PROJECTS) {
      for (const caller of CALLERS) {
        const mounted = `mount=${world.thing(project, 'layer')}&from=${project}/app`
        const { status } = await world.ask(caller, project, 'POST', `/v2/other/app/blobs/uploads/?${mounted}`)
        const admitted = mayIn(project, caller, PULL) ? '201' : '202'
        found.push(`${project} ${caller}: ${status}`)
        wanted.push(`${project} ${caller}: ${mayIn('other', caller, PUSH) ? admitted : caller === 'nobody' ? '401' : '403'}`)
      }
    }
    expect(found).toEqual(wanted)
    // Else it would show nothing.
    expect(wanted).toContain('private stranger: 202')
  })

  it('is what a token is given for', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const project of PROJECTS) {
      for (const caller of CALLERS) {
        const scope = `repository:${project}/app:pull,push,delete`
        const response = await world.ask(caller, project, 'GET', `/service/token?service=varve&scope=${scope}`)
        const { access } = claimsOf(((await response.json()) as { readonly token: string }).token)
        found.push(`${project} ${caller}: ${access.flatMap(({ actions }) => actions).sort().join()}`)
        const given = ['delete', 'pull', 'push'].filter((action) => mayIn(project, caller, { resource: 'repository', action }))
        wanted.push(`${project} ${caller}: ${given.join()}`)
      }
    }
    expect(found).toEqual(wanted)
  })

  it('is what the catalogue lists, for whoever logs in', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const project of PROJECTS) {
      for (const caller of CALLERS) {
        const response = await world.ask(caller, project, 'GET', '/v2/_catalog')
        const { repositories } = (await response.json()) as { readonly repositories?: readonly string[] }
        found.push(`${project} ${caller}: ${response.status} ${String(repositories?.includes(`${project}/app`))}`)
        const answer = caller === 'nobody' ? '401 undefined' : `200 ${mayIn(project, caller, permission('repository:list'))}`
        wanted.push(`${project} ${caller}: ${answer}`)
      }
    }
    expect(found).toEqual(wanted)
  })

  it('begins with a login, which all but nobody have', async () => {
    const answers: string[] = []
    for (const caller of CALLERS) answers.push(`${caller}: ${(await world.ask(caller, 'private', 'GET', '/v2/')).status}`)
    expect(answers).toEqual(CALLERS.map((caller) => `${caller}: ${caller === 'nobody' ? 401 : 200}`))
  })
})
