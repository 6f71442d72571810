import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { routes } from '../../src/api/management/routes.ts'
import { repositoryRoutes } from '../../src/api/oci/router.ts'
import { askingAs, makeUser } from '../support/asking.ts'
import { PASSWORD, PULL, PUSH, REPOSITORY_PATHS, askAs, basic, bearer, fetchToken, claimsOf, makeProject, makeRobot } from '../support/doors.ts'
import type { Authorization, Named } from '../support/doors.ts'
import { OCI_MANIFEST, imageManifest, registryClient, sha256 } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { webClient } from '../support/web.ts'
import { wireClient } from '../support/wire.ts'
import type { Answer, Sent } from '../support/wire.ts'

/*
 * What one may not read and what is not there give the same bytes. All names are equally long, so that the answers are, too.
 */

const HIDDEN = 'hidden/app'
/** In the hidden project, in no project, and in one that everybody may read. */
const [ABSENT, ELSEWHERE, READABLE] = ['hidden/non', 'absent/app', 'opened/non']
const SESSION = 'a user without a role there, with a session'
const CONFIG = Buffer.from('{}')
const MANIFEST = JSON.stringify(imageManifest({ digest: sha256(CONFIG), size: CONFIG.length }, []))

let server: VarveServer
let wire: ReturnType<typeof wireClient>
/** All that it names is in the hidden repository. */
let named: Named
let project: number
const callers = new Map<string, Authorization>()
/** What the page of a browser sends that eve has logged in with. */
let ofSession: Readonly<Record<string, string>>

beforeAll(async () => {
  server = await startVarve()
  wire = wireClient(server)
  const admin = askingAs(server)
  for (const name of ['eve', 'gus']) await makeUser(server, name)
  await makeProject(server, 'hidden', 'private')
  await makeProject(server, 'opened', 'public')
  await makeProject(server, 'others', 'private', { gus: 'projectAdmin', eve: 'developer' })
  const { pushImage, call } = registryClient(server)
  const { digest, layerDigest } = await pushImage(HIDDEN, 'v1', Buffer.from('a hidden layer'))
  await call('PUT', `/v2/${HIDDEN}/manifests/v2`, { body: MANIFEST, headers: { 'Content-Type': OCI_MANIFEST } })
  const upload = (await call('POST', `/v2/${HIDDEN}/blobs/uploads/`)).headers.get('location')?.split('/').at(-1) ?? ''
  named = { reference: digest, digest: layerDigest, upload }
  project = (await admin.read<{ project_id: number }>('/projects/hidden')).project_id
  // Else whoever pushes to a project that is not there makes it.
  await admin.call('PUT', '/configurations', { project_creation_restriction: 'adminonly' })
  const robot = (await makeRobot(server, 'others', 'finder', PULL, PUSH)).authorization
  const everywhere = ['others/app', HIDDEN, ABSENT, ELSEWHERE, READABLE].map((name) => `repository:${name}:pull,push,delete`)
  callers.set('nobody', undefined)
  callers.set('nobody, with a token', await bearer(server, undefined, ...everywhere))
  callers.set('a user without a role there', basic('eve'))
  callers.set('a user without a role there, with a token', await bearer(server, basic('eve'), ...everywhere))
  callers.set(SESSION, undefined)
  const browser = webClient(server.url)
  await browser.logIn('eve', PASSWORD)
  const { headers } = await browser.ask('GET', '/api/v2.0/users/current')
  ofSession = {
    Cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
    'X-Harbor-CSRF-Token': headers.get('X-Harbor-CSRF-Token') ?? '',
  }
  callers.set('an administrator of another project', basic('gus'))
  callers.set('a robot of another project', robot)
  callers.set('a robot of another project, with a token', await bearer(server, robot, ...everywhere))
  callers.set('an administrator, whose token is too narrow', await bearer(server, server.authorization, 'repository:others/app:pull,push,delete'))
})

afterAll(() => {
  wire.close()
})

/** An answer as text, without what differs from one time to the next, and without the name that was asked for. */
function told({ status, headers, body }: Answer, name: string): string {
  const head = Object.entries(headers).map(([key, value]) => `${key}: ${String(key === 'date' || key === 'x-request-id' ? '' : value)}`)
  const text = `${status}\n${head.join('\n')}\n\n${body.toString()}`
  // A number stands in much else, and no answer says it.
  const unnamed = /^\d+$/.test(name) ? text : text.replaceAll(name, '(name)').replaceAll(encodeURIComponent(name), '(name)')
  return unnamed.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '(id)')
}

const eachCaller = [
  'nobody', 'nobody, with a token', 'a user without a role there', 'a user without a role there, with a token', SESSION,
  'an administrator of another project',
  'a robot of another project', 'a robot of another project, with a token', 'an administrator, whose token is too narrow',
]

describe.each(eachCaller)('to %s', (caller) => {
  async function ask(method: string, path: string, name: string, sent: Sent = {}): Promise<string> {
    const headers = { ...(caller === SESSION ? ofSession : {}), ...sent.headers }
    return told(await askAs(wire, callers.get(caller), method, path, { ...sent, headers }), name)
  }
  // A session opens nothing there.
  const isNobodyAtV2 = caller.startsWith('nobody') || caller === SESSION

  it('a repository that they may not read answers as one that is not there, on every route', async () => {
    let compared = 0
    for (const { pattern, methods } of repositoryRoutes) {
      const pathOf = Object.values(REPOSITORY_PATHS).find((path) => pattern.test(path('p/a')))
      if (pathOf === undefined) throw new Error(`no path for ${String(pattern)}`)
      for (const method of Object.keys(methods)) {
        const put = method === 'PUT' && pathOf === REPOSITORY_PATHS['manifests']
        const body = put ? { body: MANIFEST, headers: { 'Content-Type': OCI_MANIFEST } } : method === 'PATCH' ? { body: 'abc' } : {}
        const query = method === 'PUT' ? `?digest=${named.digest}` : ''
        const asked = (name: string) => ask(method, `${pathOf(name, put ? { ...named, reference: 'v9' } : named)}${put ? '' : query}`, name, body)
        const hidden = await asked(HIDDEN)
        expect(hidden).toMatch(/^(401|403|404|200)\n/)
        // Referrers of what is not there are an empty list.
        if (hidden.startsWith('200')) expect(pathOf).toBe(REPOSITORY_PATHS['referrers'])
        expect(await asked(ABSENT)).toBe(hidden)
        expect(await asked(ELSEWHERE)).toBe(hidden)
        compared += 1
        // Where everybody may read, they are told that they may not do more.
        const reads = (method === 'GET' || method === 'HEAD') && pathOf !== REPOSITORY_PATHS['upload']
        if (reads && !isNobodyAtV2 && !caller.includes('token')) expect(await asked(READABLE)).toBe(hidden)
      }
    }
    expect(compared).toBe(16)
  })

  it('a mount from there answers as one from nowhere', async () => {
    // Who may read the source may know that it is there.
    if (caller.startsWith('an administrator, whose')) return
    const asked = (from: string, source = `&from=${from}`) => ask('POST', `/v2/others/app/blobs/uploads/?mount=${named.digest}${source}`, from)
    const hidden = await asked(HIDDEN)
    expect(hidden).toMatch(isNobodyAtV2 ? /^401\n/ : /^202\n/)
    expect(await asked(ABSENT)).toBe(hidden)
    expect(await asked(ELSEWHERE)).toBe(hidden)
    expect(await asked(HIDDEN, '')).toBe(hidden)
  })

  it('a project answers as one that is not there, on every route that names one', async () => {
    let compared = 0
    for (const { method, path } of routes) {
      if (!/\{project_(name|id|name_or_id)\}/.test(path)) continue
      const asked = (name: string) => {
        const concrete = path.replaceAll(/\{project_(name|id|name_or_id)\}/g, name).replaceAll(/\{\w+\}/g, '1')
        const body = method === 'get' || method === 'head' ? {} : { body: '{}', headers: { 'Content-Type': 'application/json' } }
        return ask(method.toUpperCase(), `/api/v2.0${concrete}`, name, body)
      }
      const hidden = await asked('hidden')
      expect([path, hidden]).toEqual([path, expect.stringMatching(/^(401|404)\n/)])
      expect(await asked('absent')).toBe(hidden)
      expect(await asked(String(project))).toBe(await asked('9'))
      compared += 1
    }
    expect(compared).toBeGreaterThan(15)
  })

  it('lists, searches, questions and tokens do not tell', async () => {
    const paths = [
      ['/api/v2.0/projects?name=', 'hidden', 'absent'],
      ['/api/v2.0/projects?q=name%3D', 'hidden', 'absent'],
      ['/api/v2.0/robots?q=Level%3Dproject,ProjectID%3D', String(project), '9'],
      ['/api/varve/v1/access?action=pull&repository=', HIDDEN, ELSEWHERE],
      ['/api/varve/v1/audit?repository=', HIDDEN, ELSEWHERE],
      ['/api/varve/v1/audit?project=', 'hidden', 'absent'],
    ] as const
    for (const [path, hidden, absent] of paths) {
      expect(await ask('GET', `${path}${hidden}`, hidden)).toBe(await ask('GET', `${path}${absent}`, absent))
    }
    const who = callers.get(caller)
    if (who?.startsWith('Bearer') === true) return
    const granted = async (name: string) => claimsOf((await fetchToken(server, who, [`repository:${name}:pull,push,delete`])).body.token).access
    expect([await granted(HIDDEN), await granted(ABSENT), await granted(ELSEWHERE)]).toEqual([[], [], []])
  })
})

it('the name of a project is told to be taken to whoever may make one', async () => {
  await askingAs(server).call('PUT', '/configurations', { project_creation_restriction: 'everyone' })
  const eve = askingAs(server, { name: 'eve', secret: 'Of-lakes-and-1-river' })
  expect(await eve.asked('POST', '/projects', { project_name: 'hidden' })).toBe('409 CONFLICT')
})
