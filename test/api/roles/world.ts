import { askingAs, makeUser } from '../../support/asking.ts'
import { makeProject, makeRobotWith } from '../../support/doors.ts'
import { OCI_MANIFEST, imageManifest, registryClient } from '../../support/registry.ts'
import { startVarve } from '../../support/server.ts'
import { PROJECTS, ROBOTS, ROLE_IDS, USERS } from './callers.ts'
import type { AnyProject, Project } from './callers.ts'

type Named = Readonly<Record<string, string>>

/** What is sent with a request, beside who sends it. */
export type Sent = { readonly body?: string; readonly type?: string }

export type World = Awaited<ReturnType<typeof startWorld>>

/** A registry with the projects of `callers.ts`, and everybody there. */
export async function startWorld() {
  const server = await startVarve()
  const admin = askingAs(server)
  const registry = registryClient(server)
  const authorizations = new Map<string, string>([['administrator', server.authorization]])
  const userNumbers = new Map<string, number>()
  const things = new Map<AnyProject, Named>()
  let made = 0

  for (const name of USERS) {
    const { number, authorization } = await makeUser(server, name.toLowerCase())
    authorizations.set(name, authorization)
    userNumbers.set(name, number)
  }
  const auditor = await fetch(`${server.url}/api/varve/v1/users/${userNumbers.get('system-auditor') ?? ''}/auditor`, {
    method: 'PUT', headers: { Authorization: server.authorization }, body: '{"auditor":true}',
  })
  if (auditor.status !== 200) throw new Error(`no auditor: ${auditor.status}`)

  const developers = USERS.filter((name) => name !== 'system-auditor')
  await makeProject(server, 'other', 'private', Object.fromEntries(developers.map((name) => [name.toLowerCase(), 'developer'])))
  for (const project of PROJECTS) {
    await makeProject(server, project, project)
    let member = 0
    for (const [role, id] of Object.entries(ROLE_IDS)) {
      member = await admin.make(`/projects/${project}/members`, { role_id: id, member_user: { username: role.toLowerCase() } })
    }
    const { digest, bytes, configDigest, layerDigest } = await registry.pushImage(`${project}/app`, 'v1', Buffer.from(`of ${project}`))
    const { config } = JSON.parse(bytes.toString()) as { config: { size: number } }
    const subject = { mediaType: OCI_MANIFEST, digest, size: bytes.length }
    await registry.pushManifest(`${project}/app`, 'referrer', imageManifest({ digest: configDigest, size: config.size }, [], { subject }))
    const { project_id: number } = await admin.read<{ project_id: number }>(`/projects/${project}`)
    things.set(project, { member: String(member), number: String(number), digest, layer: layerDigest, manifest: bytes.toString() })
  }
  for (const [name, { where, access }] of Object.entries(ROBOTS)) {
    const listed = Object.entries(access).flatMap(([resource, actions]) => actions.map((action) => ({ resource, action })))
    const level = where === '/' || where === '*' ? 'system' : 'project'
    for (const namespace of where === 'own' ? PROJECTS : [where]) {
      const kind = where === '/' ? 'system' : 'project'
      const { authorization } = await makeRobotWith(server, name, level, { kind, namespace, access: listed })
      authorizations.set(where === 'own' ? `${name} of ${namespace}` : name, authorization)
    }
  }

  return {
    server,
    admin,
    registry,
    /** The number of a user. */
    userNumber: (name: string): number => userNumbers.get(name) ?? 0,
    /** What there is in a project, by name: a member, its number, the image, its layer and its bytes. */
    thing: (project: Project, name: string): string => {
      const found = things.get(project)?.[name]
      if (found === undefined) throw new Error(`${project} has no ${name}`)
      return found
    },
    /** A name that nothing has yet. */
    newName: (): string => {
      made += 1
      return `n${made}`
    },
    /** Asks as somebody; a robot that each project has is that of `project`. */
    ask: (caller: string, project: AnyProject, method: string, path: string, { body, type }: Sent = {}): Promise<Response> => {
      const authorization = authorizations.get(caller) ?? authorizations.get(`${caller} of ${project}`)
      if (authorization === undefined && caller !== 'nobody') throw new Error(`nobody is called ${caller}`)
      return fetch(`${server.url}${path}`, {
        method,
        headers: {
          ...(authorization === undefined ? {} : { Authorization: authorization }),
          ...(type === undefined ? {} : { 'Content-Type': type }),
        },
        ...(body === undefined ? {} : { body }),
      })
    },
  }
}

/** Status and, of a refusal, its code, which has one form behind every door. */
export async function told(response: Response): Promise<string> {
  const text = await response.text()
  if (response.ok || text === '') return String(response.status)
  const { errors } = JSON.parse(text) as { readonly errors: readonly { readonly code: string }[] }
  return `${response.status} ${errors[0]?.code ?? ''}`
}
