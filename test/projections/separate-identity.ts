import type { Event, Recorded } from '../../src/ports/event.ts'

/*
 * Users, groups, robots, projects, members, settings and keys for the separate fold: plain maps again, by what the events say.
 */

type Value = string | number | boolean | null
type Mutable = Record<string, Value>
type Data = Readonly<Record<string, unknown>>

/** What `data` says where it is a text, null where it says nothing. */
const text = (data: Data, name: string): string | null => (typeof data[name] === 'string' ? data[name] : null)

/** As the design compares names: compatibility form, lower case. */
const same = (name: string | undefined): string | null => (name === undefined ? null : name.normalize('NFKC').toLowerCase())

const NOBODY = { name: null, email: null, real_name: null, comment: null, external: null, folded_name: null, folded_email: null }

export function separateIdentity(open: (sealed: string) => Promise<string | undefined>) {
  const users = new Map<string, Mutable>()
  const groups = new Map<string, Mutable>()
  const robots = new Map<string, Mutable>()
  const projects = new Map<string, Mutable>()
  const metadata = new Map<string, Mutable>()
  const members = new Map<string, Mutable>()
  const settings = new Map<string, Mutable>()
  const keys = new Map<string, Mutable>()

  async function person(sealed: string): Promise<Mutable> {
    const clear = await open(sealed)
    if (clear === undefined) return { ...NOBODY, sealed }
    const said = JSON.parse(clear) as Readonly<Record<'name' | 'email' | 'realName' | 'comment' | 'external', string | undefined>>
    return {
      name: said.name ?? '', email: said.email ?? null, real_name: said.realName ?? null, comment: said.comment ?? null, external: said.external ?? null,
      folded_name: same(said.name), folded_email: same(said.email), sealed,
    }
  }

  function change(rows: Map<string, Mutable>, id: string, now: string, changes: Mutable): void {
    const row = rows.get(id)
    if (row === undefined) throw new Error(`an event changes ${id}, which was never made`)
    Object.assign(row, changes, { updated_at: now })
  }

  const lists = (data: Data): Mutable => ({
    description: text(data, 'description'), disabled: data['disabled'] === true, expires_at: text(data, 'expiresAt'),
    permissions: JSON.stringify(data['permissions']), workloads: JSON.stringify(data['workloads']),
  })

  function putMember(project: string, member: string, role: string | null, now: string, ordinal: number): void {
    const before = members.get(`${project} ${member}`)
    const first = before ?? { number: String(ordinal), created_at: now }
    members.set(`${project} ${member}`, { project, member, role, number: first['number'] ?? null, created_at: first['created_at'] ?? null, updated_at: now })
  }

  /** The streams `settings`, `keys`, `users`, `user-…`, and so on. */
  async function fold({ event, stream, position }: Recorded, now: string, ordinal: number): Promise<void> {
    const data = event.data as Data
    const own = /^(?:user|robot|project)-(.*)$/.exec(stream)?.[1] ?? ''
    const id = text(data, 'user') ?? text(data, 'group') ?? text(data, 'robot') ?? (stream === 'projects' ? text(data, 'project') : null) ?? own
    const made = { id, number: data['number'] as number, live: true, created_at: now, updated_at: now }
    const number = position.split('-')[1] ?? ''
    switch (event.type) {
      case 'RegistryCreated':
      case 'RoleMatrixAdopted':
        return
      case 'UserCreated':
        users.set(id, {
          ...made, source: text(data, 'source'), ...(await person(String(data['person']))), verifier: text(data, 'verifier'), credential: event.id,
          cli_verifier: null, cli_credential: null, administrator: data['administrator'] === true, administrator_by_directory: false, auditor: false, groups: '[]', forgotten: false,
        })
        return
      case 'PersonChanged':
        change(users, id, now, { ...(await person(String(data['to']))), ...(data['moved'] === true ? { credential: event.id } : {}) })
        return
      case 'UserDeleted':
      case 'SubjectForgotten': {
        const ended = { live: false, administrator: false, administrator_by_directory: false, auditor: false, verifier: null, cli_verifier: null }
        change(users, id, now, event.type === 'UserDeleted' ? ended : { ...ended, ...NOBODY, forgotten: true })
        return
      }
      case 'AdministratorGranted':
      case 'AdministratorRevoked':
        change(users, id, now, { administrator: event.type.endsWith('Granted'), administrator_by_directory: data['directory'] === true })
        return
      case 'AuditorGranted':
      case 'AuditorRevoked':
        change(users, id, now, { auditor: event.type.endsWith('Granted') })
        return
      case 'PasswordChanged':
        change(users, id, now, { verifier: text(data, 'verifier') })
        if (data['upgraded'] === undefined) change(users, id, now, { credential: event.id })
        return
      case 'CliSecretChanged':
        change(users, id, now, { cli_verifier: text(data, 'verifier'), cli_credential: event.id })
        return
      case 'UserGroupsChanged':
        change(users, id, now, { groups: JSON.stringify(data['to']) })
        return
      case 'GroupCreated': {
        const [source, name, dn] = [text(data, 'source'), text(data, 'name') ?? '', text(data, 'dn')]
        groups.set(id, { ...made, name, source, dn, key: source === 'oidc' ? `oidc:${name}` : `ldap:${same(dn ?? '')}` })
        return
      }
      case 'GroupRenamed':
        change(groups, id, now, { name: text(data, 'to') })
        // A directory's is told by its DN, which stays.
        if (groups.get(id)?.['source'] === 'oidc') change(groups, id, now, { key: `oidc:${String(data['to'])}` })
        return
      case 'GroupDeleted':
        change(groups, id, now, { live: false })
        return
      case 'RobotCreated':
        robots.set(id, {
          ...made, name: text(data, 'name'), project: text(data, 'project'), verifier: text(data, 'verifier'), credential: event.id, ...lists(data),
          creator: `${event.actor.kind}:${event.actor.subject}`,
        })
        return
      case 'RobotDeleted':
        change(robots, id, now, { live: false })
        return
      case 'RobotChanged':
        change(robots, id, now, lists(data['to'] as Data))
        return
      case 'RobotSecretRefreshed':
        change(robots, id, now, { verifier: text(data, 'verifier'), credential: event.id })
        return
      case 'ProjectCreated': {
        const owner = text(data, 'owner')
        projects.set(id, { ...made, name: text(data, 'name'), visibility: text(data, 'visibility'), owner, deletion: null })
        if (owner !== null) putMember(id, `user:${owner}`, 'projectAdmin', now, ordinal)
        for (const [name, value] of Object.entries((data['metadata'] ?? {}) as Data)) metadata.set(`${id} ${name}`, { project: id, name, value: String(value) })
        return
      }
      case 'ProjectDeletionBegun':
      case 'ProjectDeletionStopped':
        Object.assign(projects.get(id) ?? {}, { deletion: event.type === 'ProjectDeletionBegun' ? event.id : null })
        return
      case 'ProjectDeleted':
        change(projects, id, now, { live: false })
        return
      case 'VisibilityChanged':
        change(projects, id, now, { visibility: text(data, 'to') })
        return
      case 'MetadataChanged': {
        const name = String(data['name'])
        metadata.set(`${id} ${name}`, { project: id, name, value: text(data, 'to') })
        change(projects, id, now, {})
        return
      }
      case 'MemberAdded':
      case 'MemberRoleChanged':
      case 'MemberRemoved': {
        const member = data['member'] as { readonly kind: string; readonly id: string }
        const role = event.type === 'MemberAdded' ? text(data, 'role') : event.type === 'MemberRoleChanged' ? text(data, 'to') : null
        putMember(id, `${member.kind}:${member.id}`, role, now, ordinal)
        change(projects, id, now, {})
        return
      }
      case 'SettingChanged': {
        const name = String(data['name'])
        settings.set(name, data['secret'] === true ? { name, value: null, sealed: text(data, 'sealed') } : { name, value: JSON.stringify(data['to']), sealed: null })
        return
      }
      case 'SigningKeyMade':
        keys.set(String(data['kid']), {
          kid: text(data, 'kid'), public_key: text(data, 'publicKey'), private_key: text(data, 'privateKey'), not_before: text(data, 'notBefore'), pos: number,
        })
        return
      case 'VerifierKeyMade':
        keys.set('verifier', { kid: 'verifier', public_key: null, private_key: text(data, 'key'), not_before: null, pos: number })
        return
      default:
        throw new Error(`the separate fold of identity does not know ${event.type}`)
    }
  }

  return {
    fold,
    tables: () => ({
      users: [...users.values()],
      groups: [...groups.values()],
      robots: [...robots.values()],
      projects: [...projects.values()],
      project_metadata: [...metadata.values()],
      members: [...members.values()],
      settings: [...settings.values()],
      keys: [...keys.values()],
    }),
  }
}

/** Whether a stream holds events of users, groups, robots, projects, settings or keys. */
export function isOfIdentity(stream: string): boolean {
  return /^(settings|keys|users|groups|robots|projects|(user|robot|project)-.*)$/.test(stream)
}

/**
 * The trail's code for an event of identity, and what it shows beside: what the data say in clear, and whose stream it is. Of a person
 * nothing but the id; of a secret only that it changed.
 */
export function identityWords(event: Event, stream: string): { readonly action: string; readonly shown: Readonly<Record<string, unknown>> } {
  const [, kind, id] = /^(user|robot|project)-(.*)$/.exec(stream) ?? []
  const whose = kind === undefined ? {} : { [kind]: id }
  const said = Object.entries(event.data as Data)
  const [action, ...hidden] = WORDS[event.type] ?? []
  if (action === undefined) throw new Error(`the separate fold does not know ${event.type}`)
  return { action, shown: { ...whose, ...Object.fromEntries(said.filter(([name]) => !hidden.includes(name))) } }
}

/** The code, and what is not shown. */
const WORDS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  RegistryCreated: ['registry.created'],
  RoleMatrixAdopted: ['role-matrix.adopted'],
  SettingChanged: ['setting.changed', 'sealed'],
  SigningKeyMade: ['signing-key.made', 'privateKey'],
  VerifierKeyMade: ['verifier-key.made', 'key'],
  UserCreated: ['user.created', 'person', 'verifier'],
  PersonChanged: ['user.changed', 'from', 'to'],
  UserDeleted: ['user.deleted'],
  SubjectForgotten: ['user.forgotten'],
  AdministratorGranted: ['administrator.granted'],
  AdministratorRevoked: ['administrator.revoked'],
  AuditorGranted: ['auditor.granted'],
  AuditorRevoked: ['auditor.revoked'],
  PasswordChanged: ['password.changed', 'verifier'],
  CliSecretChanged: ['cli-secret.changed', 'verifier'],
  UserGroupsChanged: ['user.groups-changed'],
  GroupCreated: ['group.created'],
  GroupRenamed: ['group.renamed'],
  GroupDeleted: ['group.deleted'],
  RobotCreated: ['robot.created', 'verifier'],
  RobotChanged: ['robot.changed'],
  RobotSecretRefreshed: ['robot.secret-refreshed', 'verifier'],
  RobotDeleted: ['robot.deleted'],
  ProjectCreated: ['project.created'],
  ProjectDeletionBegun: ['project.deletion-begun'],
  ProjectDeletionStopped: ['project.deletion-stopped'],
  ProjectDeleted: ['project.deleted'],
  VisibilityChanged: ['visibility.changed'],
  MetadataChanged: ['metadata.changed'],
  MemberAdded: ['member.added'],
  MemberRoleChanged: ['member.role-changed'],
  MemberRemoved: ['member.removed'],
}
