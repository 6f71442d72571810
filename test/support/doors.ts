import { askingAs } from './asking.ts'
import type { VarveServer } from './server.ts'
import type { Answer, Sent, wireClient } from './wire.ts'

/** Who comes to a door, by the value of the Authorization header that they bring; undefined: nobody. */
export type Authorization = string | undefined

/** A path of each route of a repository, by the name of what stands there. */
export const REPOSITORY_PATHS: Readonly<Record<string, (name: string, named?: Named) => string>> = {
  manifests: (name, { reference } = NOTHING) => `/v2/${name}/manifests/${reference}`,
  uploads: (name) => `/v2/${name}/blobs/uploads/`,
  upload: (name, { upload } = NOTHING) => `/v2/${name}/blobs/uploads/${upload}`,
  blobs: (name, { digest } = NOTHING) => `/v2/${name}/blobs/${digest}`,
  tags: (name) => `/v2/${name}/tags/list`,
  referrers: (name, { digest } = NOTHING) => `/v2/${name}/referrers/${digest}`,
}

/** What the end of a path may name. */
export type Named = { readonly reference: string; readonly digest: string; readonly upload: string }

const NOTHING: Named = { reference: 'v1', digest: `sha256:${'0'.repeat(64)}`, upload: '00000000-0000-4000-8000-000000000000' }

type Server = Pick<VarveServer, 'url' | 'authorization'>

export const PASSWORD = 'Of-lakes-and-1-river'

/** The numbers that Harbor gives roles. */
export const ROLE_IDS = { projectAdmin: 1, developer: 2, guest: 3, maintainer: 4, limitedGuest: 5 } as const

export function basic(name: string, secret: string = PASSWORD): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
}

/** Asks as somebody, sending the path as it stands. */
export function askAs(wire: ReturnType<typeof wireClient>, who: Authorization, method: string, path: string, { headers = {}, ...sent }: Sent = {}): Promise<Answer> {
  return wire.ask(method, path, { ...sent, anonymous: true, headers: { ...(who === undefined ? {} : { Authorization: who }), ...headers } })
}

type Granted = { readonly type: string; readonly name: string; readonly actions: readonly string[] }
type TokenAnswer = {
  readonly token: string; readonly access_token: string; readonly expires_in: number; readonly issued_at: string; readonly refresh_token?: string
}
export type Fetched = { readonly status: number; readonly headers: Headers; readonly body: TokenAnswer }

/** `GET /service/token`. */
export async function fetchToken({ url }: Pick<VarveServer, 'url'>, who: Authorization, scopes: readonly string[], more = ''): Promise<Fetched> {
  const query = ['service=varve', ...scopes.map((scope) => `scope=${encodeURIComponent(scope)}`)].join('&')
  const response = await fetch(`${url}/service/token?${query}${more}`, { headers: who === undefined ? {} : { Authorization: who } })
  return { status: response.status, headers: response.headers, body: (await response.json()) as TokenAnswer }
}

/** The value of an Authorization header with a token for these scopes. */
export async function bearer(server: Pick<VarveServer, 'url'>, who: Authorization, ...scopes: readonly string[]): Promise<string> {
  const { status, body } = await fetchToken(server, who, scopes)
  if (status !== 200) throw new Error(`no token: ${status} ${JSON.stringify(body)}`)
  return `Bearer ${body.token}`
}

/** What stands in a token, unverified. */
export function claimsOf(token: string): { readonly access: readonly Granted[]; readonly iss: string; readonly aud: string; readonly sub: string } & Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as ReturnType<typeof claimsOf>
}

/** Makes a project with members, by user name. */
export async function makeProject(server: Server, name: string, visibility: 'public' | 'private', members: Readonly<Record<string, keyof typeof ROLE_IDS>> = {}): Promise<void> {
  const admin = askingAs(server)
  await admin.make('/projects', { project_name: name, metadata: { public: String(visibility === 'public') } })
  for (const [username, role] of Object.entries(members)) await admin.make(`/projects/${name}/members`, { role_id: ROLE_IDS[role], member_user: { username } })
}

type Access = { readonly resource: string; readonly action: string }
export const PULL: Access = { resource: 'repository', action: 'pull' }
export const PUSH: Access = { resource: 'repository', action: 'push' }

/** Makes a robot of a project. */
export function makeRobot(server: Server, project: string, name: string, ...access: readonly Access[]) {
  return makeRobotWith(server, name, 'project', { kind: 'project', namespace: project, access })
}

type RobotPermission = { readonly kind: 'project' | 'system'; readonly namespace: string; readonly access: readonly Access[] }

/** Makes a robot of a project or of the system, with one permission. */
export async function makeRobotWith(server: Server, name: string, level: 'project' | 'system', permission: RobotPermission) {
  const permissions = [permission]
  const answer = await askingAs(server).call('POST', '/robots', { name, level, duration: -1, permissions })
  if (answer.status !== 201) throw new Error(`POST /robots answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  const made = answer.body as { readonly id: number; readonly name: string; readonly secret: string }
  return { ...made, permissions, authorization: basic(made.name, made.secret) }
}
