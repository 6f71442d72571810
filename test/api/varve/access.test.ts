import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { routes } from '../../../src/api/varve/routes.ts'
import { createCodec } from '../../../src/commands/codec.ts'
import { eventTypes } from '../../../src/commands/event-types.ts'
import { GroupCreated } from '../../../src/commands/group/events.ts'
import { MemberAdded, MemberRemoved, MemberRoleChanged, ProjectCreated, ProjectDeleted, VisibilityChanged } from '../../../src/commands/project/events.ts'
import type { Role } from '../../../src/commands/project/events.ts'
import { RobotCreated } from '../../../src/commands/robot/events.ts'
import { sealPerson } from '../../../src/commands/user/aggregate.ts'
import { AuditorGranted, PersonChanged, UserCreated, UserDeleted, UserGroupsChanged } from '../../../src/commands/user/events.ts'
import { makeArgon2Verifier } from '../../../src/identity/passwords/schemes.ts'
import type { Fact } from '../../../src/ports/event.ts'
import type { EventLog } from '../../../src/ports/event-log.ts'
import { SECRETS } from '../../../src/ports/key-store.ts'
import type { Sealer } from '../../../src/ports/key-store.ts'
import type { Position } from '../../../src/ports/position.ts'
import { streams } from '../../../src/ports/streams.ts'
import { openPostgresLog } from '../../../src/storage/events/postgres/log.ts'
import { loadMasterKey, openFileKeyStore } from '../../../src/storage/keys/file.ts'
import { createSealer } from '../../../src/storage/keys/sealer.ts'
import { connectToRunning } from '../../../src/storage/postgres/embedded.ts'
import { answersOf } from '../../support/answers.ts'
import { startVarve } from '../../support/server.ts'
import type { VarveServer } from '../../support/server.ts'

type Since = { readonly position: string; readonly time: string; readonly event: string; readonly actor: { readonly kind: string; readonly id: string; readonly name?: string } }
type Grant = {
  readonly by: string; readonly role?: string; readonly actions: readonly string[]; readonly since: Since; readonly expiresAt?: string
  readonly group?: { readonly id: string; readonly name: string; readonly shown: Since }
}
type Subject = { readonly kind: string; readonly id?: string; readonly name?: string; readonly project?: string; readonly grants: readonly Grant[] }
type Page = {
  readonly position: string; readonly time: string; readonly rolesVersion: number; readonly next?: string
  readonly subjects?: readonly Subject[]; readonly projects?: readonly { readonly id: string; readonly name: string; readonly grants: readonly Grant[] }[]
}

const PASSWORD = 'Correct-horse-1'
/** Of an answer, by the schema that the document shows. */
const faultsOf = answersOf(routes, 'get', '/access')
const basic = (name: string): string => `Basic ${Buffer.from(`${name}:${PASSWORD}`).toString('base64')}`

describe('questions about access', () => {
  let server: VarveServer
  let log: EventLog
  let sealer: Sealer
  let admin: string
  const ids: Record<string, string> = {}
  const at: Record<string, Position> = {}
  let closed = false
  let users = 1
  let projects = 1

  /** Appends to the log of the running server, as another process may. */
  async function happens(name: string, stream: string, fact: Fact): Promise<void> {
    let revision = -1
    for await (const recorded of log.readStream(stream, -1)) revision = recorded.revision
    const appended = await log.append(stream, revision, [{ ...fact, id: randomUUID(), at: new Date().toISOString(), actor: { kind: 'user', subject: admin } }])
    const [position] = appended.status === 'appended' ? appended.positions : []
    if (position === undefined) throw new Error(`${name} was not appended`)
    at[name] = position
  }

  const idOf = (name: string): string => (ids[name] ??= randomUUID())

  async function createUser(name: string): Promise<void> {
    const { sealed: person } = await sealPerson(sealer, idOf(name), { name })
    users += 1
    const verifier = await sealer.seal(SECRETS, await makeArgon2Verifier(PASSWORD))
    await happens(name, streams.users, UserCreated({ user: idOf(name), number: users, source: 'local', person, verifier, administrator: false }))
  }

  async function createProject(key: string, name: string, owner: string): Promise<void> {
    projects += 1
    await happens(key, streams.projects, ProjectCreated({ project: idOf(key), number: projects, name, visibility: 'private', owner: idOf(owner) }))
  }

  const addMember = (name: string, project: string, kind: 'user' | 'group', member: string, role: Role): Promise<void> =>
    happens(name, streams.project(idOf(project)), MemberAdded({ member: { kind, id: idOf(member) }, role }))

  async function ask(who: string | undefined, parameters: Readonly<Record<string, string>>): Promise<{ status: number; text: string; page: Page }> {
    const authorization = who === undefined ? {} : { Authorization: who === 'admin' ? server.authorization : basic(who) }
    const response = await fetch(`${server.url}/api/varve/v1/access?${String(new URLSearchParams(parameters))}`, { headers: authorization })
    const text = await response.text()
    return { status: response.status, text, page: JSON.parse(text) as Page }
  }

  async function answered(who: string, parameters: Readonly<Record<string, string>>): Promise<Page> {
    const { status, text, page } = await ask(who, parameters)
    if (status !== 200) throw new Error(`${status} ${text}`)
    expect(faultsOf(page)).toEqual([])
    return page
  }

  /** Who could and by what, in words. */
  const inWords = ({ subjects = [] }: Page): string[] =>
    subjects.flatMap(({ kind, name, grants }) => grants.map(({ by, role, group }) => [kind, name, by, role, group?.name].filter((each) => each !== undefined).join(' '))).sort()

  beforeAll(async () => {
    server = await startVarve()
    const connection = await connectToRunning(server.dataFolder)
    if (connection === undefined) throw new Error('there is no Postgres')
    log = await openPostgresLog(connection, createCodec(eventTypes))
    sealer = createSealer(await openFileKeyStore({ folder: server.dataFolder, masterKey: await loadMasterKey(join(server.dataFolder, 'master.key')) }))
    for await (const { event } of log.readStream(streams.users, -1)) admin = (event.data as { user: string }).user
    for (const name of ['anna', 'ben', 'cleo', 'dora', 'eve', 'olga']) await createUser(name)
    await createProject('old team', 'team', 'olga')
    await happens('old team gone', streams.projects, ProjectDeleted({ project: idOf('old team') }))
    await createProject('team', 'team', 'anna')
    await createProject('other', 'other', 'olga')
    await addMember('ben is guest', 'team', 'user', 'ben', 'guest')
    await happens('ben is developer', streams.project(idOf('team')), MemberRoleChanged({ member: { kind: 'user', id: idOf('ben') }, from: 'guest', to: 'developer' }))
    await happens('devs', streams.groups, GroupCreated({ group: idOf('devs'), number: 1, name: 'devs', source: 'oidc' }))
    await addMember('devs are maintainers', 'team', 'group', 'devs', 'maintainer')
    await happens('cleo shown', streams.user(idOf('cleo')), UserGroupsChanged({ from: [], to: [idOf('devs')] }))
    const permissions = [{ kind: 'project' as const, project: idOf('team'), access: [{ resource: 'repository', action: 'pull' }] }]
    const robot = { robot: idOf('ci'), number: 1, name: 'ci', project: idOf('team'), verifier: await sealer.seal(SECRETS, 'none'), permissions }
    await happens('ci', streams.robots, RobotCreated({ ...robot, description: '', disabled: false, expiresAt: null, workloads: [] }))
    await happens('dora audits', streams.users, AuditorGranted({ user: idOf('dora') }))
  })

  /** Before the server's Postgres ends, or at the end. */
  async function closeLog(): Promise<void> {
    if (closed) return
    closed = true
    await log.close()
  }
  afterAll(closeLog)

  it('say who could, by which grant, since which event', async () => {
    const page = await answered('admin', { repository: 'team/app', action: 'pull' })
    expect(inWords(page)).toEqual([
      'group devs member maintainer', 'robot ci permission', 'user admin administrator', 'user anna member projectAdmin', 'user ben member developer', 'user cleo group maintainer devs',
    ])
    expect(page.rolesVersion).toBe(1)
    const [ben] = page.subjects?.find(({ name }) => name === 'ben')?.grants ?? []
    expect(ben).toMatchObject({ role: 'developer', actions: ['pull'], since: { position: at['ben is developer'], actor: { kind: 'user', id: admin, name: 'admin' } } })
    const [cleo] = page.subjects?.find(({ name }) => name === 'cleo')?.grants ?? []
    expect(cleo).toMatchObject({ since: { position: at['devs are maintainers'] }, group: { id: idOf('devs'), shown: { position: at['cleo shown'] } } })
    expect(page.subjects?.find(({ name }) => name === 'ci')?.project).toBe('team')
    expect(inWords(await answered('admin', { repository: 'team/app', action: 'delete' }))).not.toContain('user ben member developer')
    expect(inWords(await answered('admin', { repository: 'team/app', action: 'push', user: 'BEN' }))).toEqual(['user ben member developer'])
    expect(inWords(await answered('admin', { repository: 'team/app', action: 'pull', robot: 'robot$team+ci' }))).toEqual(['robot ci permission'])
  })

  it('answer at a position and at a time', async () => {
    const then = await answered('admin', { repository: 'team/app', action: 'push', at: at['ben is guest'] ?? '' })
    expect(then.position).toBe(at['ben is guest'])
    expect(inWords(then)).toEqual(['user admin administrator', 'user anna member projectAdmin'])
    const old = await answered('admin', { repository: 'team/app', action: 'pull', at: at['old team'] ?? '' })
    expect(inWords(old)).toEqual(['user admin administrator', 'user olga member projectAdmin'])
    expect(await ask('admin', { repository: 'team/app', action: 'pull', at: at['old team gone'] ?? '' })).toMatchObject({ status: 404 })
    const timed = await answered('admin', { repository: 'team/app', action: 'push', at: (await answered('admin', { repository: 'team/app', action: 'push' })).time })
    expect(inWords(timed)).toEqual(inWords(await answered('admin', { repository: 'team/app', action: 'push' })))
  })

  it('need the right on that project today, or the whole system', async () => {
    const question = { repository: 'team/app', action: 'pull' }
    expect((await ask(undefined, question)).status).toBe(401)
    expect((await ask('anna', question)).status).toBe(200)
    expect((await ask('dora', question)).status).toBe(200)
    expect((await ask('ben', question)).status).toBe(403)
    const hidden = await ask('eve', question)
    expect(hidden).toEqual(await ask('eve', { ...question, repository: 'nowhere/app' }))
    expect(hidden.status).toBe(404)
    // The one of today says nothing about the one whose name it has taken, and the other way round.
    expect(await ask('anna', { ...question, at: at['old team'] ?? '' })).toEqual(hidden)
    expect(await ask('olga', { ...question, at: at['old team'] ?? '' })).toEqual(hidden)
  })

  it('say what somebody could reach', async () => {
    const words = ({ projects: found = [] }: Page): string[] => found.flatMap(({ name, grants }) => grants.map(({ by, actions }) => `${name} ${by} ${actions.join()}`))
    expect(words(await answered('admin', { user: 'ben' }))).toEqual(['team member pull,push'])
    expect(words(await answered('ben', { user: 'ben' }))).toEqual(['team member pull,push'])
    expect(words(await answered('dora', { user: idOf('cleo') }))).toEqual(['team group pull,push,delete'])
    expect(words(await answered('admin', { user: 'admin', action: 'delete' }))).toEqual(['library administrator delete', 'library member delete', 'other administrator delete', 'team administrator delete'])
    expect(words(await answered('admin', { robot: idOf('ci') }))).toEqual(['team permission pull'])
    expect(words(await answered('admin', { user: 'ben', at: at['ben is guest'] ?? '' }))).toEqual(['team member pull'])
    await happens('other is public', streams.project(idOf('other')), VisibilityChanged({ from: 'private', to: 'public' }))
    expect(words(await answered('admin', { user: 'ben' }))).toEqual(['other visibility pull', 'team member pull,push'])
    // Whether there is such a user is not said either.
    expect(await ask('ben', { user: 'eve' })).toEqual(await ask('ben', { user: 'nobody' }))
    expect((await ask('ben', { user: 'eve' })).status).toBe(403)
    expect((await ask('admin', { user: 'nobody' })).status).toBe(404)
    expect((await ask('admin', { robot: 'robot$nothing' })).status).toBe(404)
  })

  it('come in pages, all of the moment of the first', async () => {
    const whole = await answered('admin', { repository: 'team/app', action: 'pull' })
    const paged: Subject[] = []
    for (let after: string | undefined, pages = 0; pages === 0 || after !== undefined; pages += 1) {
      const page = await answered('admin', { repository: 'team/app', action: 'pull', limit: '1', ...(after === undefined ? {} : { after }) })
      expect(page.subjects).toHaveLength(1)
      paged.push(...(page.subjects ?? []))
      after = page.next
      if (pages === 0) {
        await createUser('late')
        await addMember('late joins', 'team', 'user', 'late', 'guest')
      }
    }
    expect(paged).toEqual(whole.subjects)
    expect(inWords(await answered('admin', { repository: 'team/app', action: 'pull' }))).toContain('user late member guest')
  })

  it('end with the user', async () => {
    await happens('ben leaves', streams.users, UserDeleted({ user: idOf('ben') }))
    expect(inWords(await answered('admin', { repository: 'team/app', action: 'push' }))).not.toContain('user ben member developer')
    expect((await ask('admin', { user: 'ben' })).status).toBe(404)
    expect(inWords(await answered('admin', { repository: 'team/app', action: 'push', user: 'ben', at: at['ben is developer'] ?? '' }))).toEqual(['user ben member developer'])
    await happens('late leaves', streams.project(idOf('team')), MemberRemoved({ member: { kind: 'user', id: idOf('late') }, role: 'guest' }))
  })

  it('want an id where two users of then have had the name', async () => {
    for (const name of ['fay', 'gus']) await createUser(name)
    await happens('fay leaves', streams.users, UserDeleted({ user: idOf('fay') }))
    const [from, to] = [await sealPerson(sealer, idOf('gus'), { name: 'gus' }), await sealPerson(sealer, idOf('gus'), { name: 'fay' })]
    await happens('gus is called fay', streams.users, PersonChanged({ user: idOf('gus'), from: from.sealed, to: to.sealed }))
    const both = at['gus'] ?? ''
    expect((await ask('admin', { user: 'fay', at: both })).status).toBe(409)
    expect((await ask('admin', { user: idOf('fay'), at: both })).status).toBe(200)
    expect((await ask('admin', { user: 'fay' })).status).toBe(200)
    const { code, stderr } = await server.varve('access', '--user', 'fay', '--at', both)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('two users of then have had the name fay') as unknown })
  })

  it.each([
    [{}, 'name a repository'],
    [{ repository: 'team/app' }, 'say an action'],
    [{ repository: 'team/app', action: 'read' }, 'query'],
    [{ repository: 'Team', action: 'pull' }, 'no name'],
    [{ user: 'ben', robot: 'ci' }, 'not both'],
    [{ user: 'ben', at: 'yesterday' }, 'neither a time'],
    [{ user: 'ben', at: '2999-01-01T00:00:00Z' }, 'not come yet'],
    [{ user: 'ben', at: '1999-01-01T00:00:00Z' }, 'before the log'],
    [{ user: 'ben', at: 'otherlog-1' }, 'another log'],
    [{ user: 'ben', after: 'x' }, 'next of a page'],
    [{ user: 'ben', limit: '0' }, 'query'],
  ])('refuse %j', async (parameters, message) => {
    const { status, text } = await ask('admin', parameters)
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining(message) as unknown })
  })

  describe('in the terminal', () => {
    async function pages(...args: string[]): Promise<Page[]> {
      const { stdout, stderr, code } = await server.varve('access', '--json', ...args)
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
      return stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Page)
    }

    it('are answered as over HTTP', async () => {
      const position = at['late leaves'] ?? ''
      expect(await pages('--repository', 'team/app', '--action', 'pull', '--at', position)).toEqual([await answered('admin', { repository: 'team/app', action: 'pull', at: position })])
      expect(await pages('--user', 'cleo', '--at', position)).toEqual([await answered('admin', { user: 'cleo', at: position })])
      expect(await pages('--robot', 'robot$team+ci', '--action', 'pull', '--at', position)).toEqual([await answered('admin', { robot: 'team+ci', action: 'pull', at: position })])
    })

    it('print a table', async () => {
      const { stdout, code } = await server.varve('access', '--repository', 'team/app', '--action', 'push')
      expect(code).toBe(0)
      expect(stdout).toMatch(/^as of [a-z0-9]{8}-\d+ \(.*Z\), by version 1 of the table of roles\nWHO +KIND +BY +SINCE +GIVEN BY +POSITION\n/)
      expect(stdout).toMatch(/^any member of devs +group +maintainer /m)
      expect(stdout).toMatch(/^cleo +user +maintainer through devs +\S+ +admin /m)
      const reach = await server.varve('access', '--user', 'cleo')
      expect(reach.stdout).toMatch(/^team +pull push delete +maintainer through devs /m)
    })

    it.each([
      [[], 'name a --repository'],
      [['--repository', 'team/app'], 'needs an --action'],
      [['--repository', 'team/app', '--action', 'read'], 'one of pull, push, delete'],
      [['--repository', 'nowhere/app', '--action', 'pull'], 'no project nowhere'],
      [['--user', 'nobody'], 'no user nobody'],
      [['--user', 'cleo', '--at', 'yesterday'], 'neither a time'],
    ])('refuse %j', async (args, message) => {
      const { stdout, stderr, code } = await server.varve('access', ...args)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toContain(message)
    })

    it('are answered the same without a server', async () => {
      const question = ['--repository', 'team/app', '--action', 'pull', '--at', at['late leaves'] ?? '']
      const beside = await pages(...question)
      await closeLog()
      await server.kill('SIGTERM')
      expect(await pages(...question)).toEqual(beside)
    })
  })
})
