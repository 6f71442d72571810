import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { askingAs, makeUser } from '../support/asking.ts'
import type { Asking } from '../support/asking.ts'
import { OCI_MANIFEST, imageManifest, registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

type Actions = Readonly<Record<string, readonly string[]>>
type Table = { readonly roles: Readonly<Record<string, Actions>>; readonly public: Actions; readonly 'role ids on the wire': Readonly<Record<string, number>> }

/** Harbor's own table, as data. */
const harbor = JSON.parse(readFileSync(join(import.meta.dirname, '../commands/access/roles.json'), 'utf8')) as Table
/** Varve's own role: reads members and trails, pulls nothing and changes nothing. */
const AUDITOR: Actions = { log: ['list'], member: ['list', 'read'], project: ['read'] }
const ROLES: Readonly<Record<string, Actions>> = { ...harbor.roles, auditor: AUDITOR }
const ROLE_IDS: Readonly<Record<string, number>> = { ...harbor['role ids on the wire'], auditor: 6 }

/** Who asks: a member of each role, somebody who is no member, nobody, the administrator of the system. */
const CALLERS = [...Object.keys(ROLES), 'stranger', 'nobody', 'administrator'] as const
const PROJECTS = ['private', 'public'] as const
type Project = (typeof PROJECTS)[number]

type Caller = { readonly api: Asking; readonly authorization: string | undefined }

let server: VarveServer
const callers = new Map<string, Caller>()
/** The number of a member of each project. */
const memberIds = new Map<Project, number>()
/** A manifest of each project that another one refers to. */
const subjects = new Map<Project, string>()
let tagsMade = 0

beforeAll(async () => {
  server = await startVarve()
  const admin = askingAs(server)
  const registry = registryClient(server)
  for (const project of PROJECTS) {
    await admin.make('/projects', { project_name: project, metadata: { public: String(project === 'public') } })
    const { digest, bytes, configDigest } = await registry.pushImage(`${project}/app`, 'v1', Buffer.from(`of ${project}`))
    const { config } = JSON.parse(bytes.toString()) as { config: { size: number } }
    await registry.pushManifest(`${project}/app`, 'referrer', imageManifest({ digest: configDigest, size: config.size }, [], { subject: { mediaType: OCI_MANIFEST, digest, size: bytes.length } }))
    subjects.set(project, digest)
  }
  for (const role of [...Object.keys(ROLES), 'stranger']) {
    const user = await makeUser(server, role.toLowerCase())
    callers.set(role, { api: user, authorization: user.authorization })
    const id = ROLE_IDS[role]
    if (id === undefined) continue
    for (const project of PROJECTS) memberIds.set(project, await admin.make(`/projects/${project}/members`, { role_id: id, member_user: { username: role.toLowerCase() } }))
  }
  callers.set('nobody', { api: askingAs(server, 'nobody'), authorization: undefined })
  callers.set('administrator', { api: admin, authorization: server.authorization })
})

function callerOf(name: string): Caller {
  const caller = callers.get(name)
  if (caller === undefined) throw new Error(`nobody is called ${name}`)
  return caller
}

/** Whether Harbor's table, and what is said above of the auditor, lets somebody do something. */
function expected(caller: string, project: Project, resource: string, action: string): boolean {
  if (caller === 'administrator') return true
  return (project === 'public' && (harbor.public[resource]?.includes(action) ?? false)) || (ROLES[caller]?.[resource]?.includes(action) ?? false)
}

/** A question to a door: what it needs, and whether it lets the caller through. What was let through fails by what is wrong in it, where it would change something. */
type Probe = {
  readonly door: string
  readonly resource: string
  readonly action: string
  readonly ask: (caller: Caller, project: Project) => Promise<string>
  readonly passes: string
  /** What somebody who logged in gets of a project that they may not read, where that is not 404. */
  readonly hidden?: string
}

const managed = (method: string, path: string, passes: string, resource: string, action: string, body?: unknown): Probe => ({
  door: `${method} /api/v2.0/projects/{}${path}`,
  resource,
  action,
  passes,
  ask: ({ api }, project) => api.asked(method, `/projects/${project}${path.replace('{member}', String(memberIds.get(project)))}`, body),
})

const registry = (method: string, path: string, passes: string, action: string, hidden?: string): Probe => ({
  door: `${method} /v2/{}/app${path}`,
  resource: 'repository',
  action,
  passes,
  ...(hidden === undefined ? {} : { hidden }),
  ask: async ({ authorization }, project) => {
    const { status } = await fetch(`${server.url}/v2/${project}/app${path}`, { method, headers: authorization === undefined ? {} : { Authorization: authorization } })
    return String(status)
  },
})

const PROBES: readonly Probe[] = [
  managed('GET', '', '200', 'project', 'read'),
  managed('PUT', '', '400 BAD_REQUEST', 'project', 'update', { registry_id: 1 }),
  managed('DELETE', '', '412 PRECONDITION', 'project', 'delete'),
  managed('GET', '/_deletable', '200', 'project', 'delete'),
  managed('GET', '/summary', '200', 'project', 'read'),
  managed('GET', '/members', '200', 'member', 'list'),
  managed('POST', '/members', '400 BAD_REQUEST', 'member', 'create', { role_id: 0 }),
  managed('GET', '/members/{member}', '200', 'member', 'read'),
  managed('PUT', '/members/{member}', '400 BAD_REQUEST', 'member', 'update', { role_id: 0 }),
  managed('DELETE', '/members/none', '400 BAD_REQUEST', 'member', 'delete'),
  managed('GET', '/metadatas/', '200', 'metadata', 'read'),
  managed('GET', '/metadatas/public', '200', 'metadata', 'read'),
  managed('POST', '/metadatas/', '400 BAD_REQUEST', 'metadata', 'create', {}),
  managed('PUT', '/metadatas/public', '400 BAD_REQUEST', 'metadata', 'update', {}),
  managed('DELETE', '/metadatas/public', '400 BAD_REQUEST', 'metadata', 'delete'),
  registry('GET', '/manifests/v1', '200', 'pull'),
  registry('HEAD', '/manifests/v1', '200', 'pull'),
  registry('GET', '/tags/list', '200', 'pull'),
  {
    door: 'GET /v2/{}/app/referrers/<digest>',
    resource: 'repository',
    action: 'pull',
    passes: '200, of 1',
    // As of a digest that nothing refers to.
    hidden: '200, of 0',
    async ask({ authorization }, project) {
      const response = await fetch(`${server.url}/v2/${project}/app/referrers/${subjects.get(project) ?? ''}`, { headers: authorization === undefined ? {} : { Authorization: authorization } })
      const { manifests } = (await response.json()) as { manifests?: unknown[] }
      return manifests === undefined ? String(response.status) : `${response.status}, of ${manifests.length}`
    },
  },
  // Whether a name is taken is told to whoever might create the project.
  registry('POST', '/blobs/uploads/', '202', 'push', '403'),
  {
    door: 'DELETE /v2/{}/app/manifests/<tag>',
    resource: 'repository',
    action: 'delete',
    passes: '202',
    async ask({ authorization }, project) {
      tagsMade += 1
      const tag = `t${tagsMade}`
      await registryClient(server).pushImage(`${project}/app`, tag, Buffer.from(`of ${project}`))
      const { status } = await fetch(`${server.url}/v2/${project}/app/manifests/${tag}`, { method: 'DELETE', headers: authorization === undefined ? {} : { Authorization: authorization } })
      return String(status)
    },
  },
]

describe('what each role may do', () => {
  it.each(PROBES.map((probe) => [probe.door, probe] as const))('by %s', async (_door, { resource, action, ask, passes, hidden = '404' }) => {
    const [found, wanted]: [string[], string[]] = [[], []]
    for (const project of PROJECTS) {
      for (const name of CALLERS) {
        const answer = await ask(callerOf(name), project)
        const mayRead = expected(name, project, resource === 'repository' ? 'repository' : 'project', resource === 'repository' ? 'pull' : 'read')
        const refused = name === 'nobody' ? '401' : mayRead ? '403' : hidden
        found.push(`${project} ${name}: ${[passes, hidden].includes(answer) ? answer : answer.slice(0, 3)}`)
        wanted.push(`${project} ${name}: ${expected(name, project, resource, action) ? passes : refused}`)
      }
    }
    expect(found).toEqual(wanted)
  })

  it('in the catalogue and the list of projects', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const name of CALLERS) {
      const { api, authorization } = callerOf(name)
      const listed = (await api.read<{ name: string }[]>('/projects')).map((project) => project.name)
      const response = await fetch(`${server.url}/v2/_catalog`, { headers: authorization === undefined ? {} : { Authorization: authorization } })
      const { repositories = [] } = (await response.json()) as { repositories?: string[] }
      for (const project of PROJECTS) {
        found.push(`${name} ${project}: ${listed.includes(project)} ${repositories.includes(`${project}/app`)}`)
        // Whoever does not log in gets no catalogue.
        wanted.push(`${name} ${project}: ${expected(name, project, 'project', 'read')} ${name !== 'nobody' && expected(name, project, 'repository', 'list')}`)
      }
    }
    expect(found).toEqual(wanted)
  })

  it('is what a token is given for', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const project of PROJECTS) {
      for (const name of CALLERS) {
        const { authorization } = callerOf(name)
        const response = await fetch(`${server.url}/service/token?service=varve&scope=repository:${project}/app:pull,push,delete`, {
          headers: authorization === undefined ? {} : { Authorization: authorization },
        })
        const { token } = (await response.json()) as { token: string }
        const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { access: { actions: string[] }[] }
        found.push(`${project} ${name}: ${claims.access.flatMap(({ actions }) => actions).sort().join()}`)
        wanted.push(`${project} ${name}: ${['delete', 'pull', 'push'].filter((action) => expected(name, project, 'repository', action)).join()}`)
      }
    }
    expect(found).toEqual(wanted)
  })

  it('shows limits and members in the summary to those who may see them', async () => {
    const found: string[] = []
    const wanted: string[] = []
    for (const project of PROJECTS) {
      for (const name of CALLERS) {
        if (!expected(name, project, 'project', 'read')) continue
        const summary = await callerOf(name).api.read<object>(`/projects/${project}/summary`)
        found.push(`${project} ${name}: ${'quota' in summary} ${'guest_count' in summary}`)
        wanted.push(`${project} ${name}: ${expected(name, project, 'quota', 'read')} ${expected(name, project, 'member', 'list')}`)
      }
    }
    expect(found).toEqual(wanted)
  })
})
