import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { managementClient } from '../support/management.ts'
import type { ManagementClient } from '../support/management.ts'
import { dumpOf, filesWith } from '../support/readable.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

const PASSWORD = 'Of-lakes-and-1-river'
let server: VarveServer
let api: ManagementClient

const basic = (name: string, secret: string): string => `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`

/** A request from an address that a proxy says. */
async function from(address: string, agent: string, path: string, authorization?: string): Promise<{ readonly status: number; readonly body: string }> {
  const headers = { ...(authorization === undefined ? {} : { Authorization: authorization }), 'User-Agent': agent, 'X-Forwarded-For': address }
  const response = await fetch(new URL(path, server.url), { headers })
  return { status: response.status, body: await response.text() }
}

type Line = { readonly action: string; readonly parameters?: { readonly shared?: readonly string[] }; readonly who: { readonly id: string; readonly kind: string; readonly name?: string }; readonly address?: string; readonly userAgent?: string }

async function trail(...args: string[]): Promise<Line[]> {
  const { stdout, code } = await server.varve('audit', '--json', ...args)
  expect(code).toBe(0)
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]))
}

/** Makes somebody whom nothing else is called like, and lets them do things. */
async function somebody(name: string, address: string) {
  const agent = `agent-of-${name}/1`
  const person = { username: name, email: `${name}@mail.example.org`, realname: `Real ${name}`, comment: `note on ${name}` }
  await api.created('/users', { ...person, password: PASSWORD })
  const as = { name, secret: PASSWORD }
  const { user_id: number } = (await api.ask('GET', '/users/current', { as })).body as { user_id: number }
  expect(await api.asked('PUT', `/users/${number}`, { as, body: { email: `${name}@second.example.org` } })).toBe('200')
  expect(await api.asked('POST', '/projects/team/members', { body: { role_id: 3, member_user: { username: name } } })).toBe('201')
  const token = JSON.parse((await from(address, agent, '/service/token?service=varve&scope=repository:team/app:pull', basic(name, PASSWORD))).body) as { token: string }
  const bearer = `Bearer ${token.token}`
  expect((await from(address, agent, '/v2/team/app/manifests/v1', bearer)).status).toBe(200)
  expect((await from(address, agent, '/v2/other/app/manifests/v1', basic(name, PASSWORD))).status).toBe(404)
  // And without a login, which the trail says of nobody, with the address.
  expect((await from(address, agent, '/v2/', basic(name, 'wrong'))).status).toBe(401)
  expect((await from(address, agent, '/v2/open/app/manifests/v1')).status).toBe(200)
  const lines = await trail('--actor', name)
  expect(new Set(lines.map(({ action }) => action))).toEqual(new Set(['login', 'token.issued', 'user.changed', 'pull', 'refused']))
  const asNobody = (await trail()).filter((line) => line.address === address && line.who.kind === 'anonymous')
  expect(asNobody.map(({ action }) => action).sort()).toEqual(['pull', 'refused'])
  return { number, lines, asNobody, id: lines[0]?.who.id ?? '', nobody: asNobody[0]?.who.id ?? '', bearer, agent, personal: [name, address] }
}

beforeAll(async () => {
  server = await startVarve({ env: { VARVE_TRUSTED_PROXIES: '127.0.0.1' } })
  api = managementClient(server)
  await registryClient(server).pushImage('team/app', 'v1', Buffer.from('a layer'))
  await registryClient(server).pushImage('other/app', 'v1', Buffer.from('a layer'))
  await registryClient(server).pushImage('open/app', 'v1', Buffer.from('a layer'))
  expect(await api.asked('PUT', '/projects/open', { body: { metadata: { public: 'true' } } })).toBe('200')
})

describe('varve subject forget', () => {
  it('leaves neither name nor mail nor address anywhere, beside a server, and the trail says that the same one did it', async () => {
    const { id, number, lines, bearer, agent, personal } = await somebody('Zdoralinde', '203.0.113.77')
    const before = await dumpOf(server.dataFolder)
    for (const each of personal) expect(before).toContain(each)
    expect(await filesWith(server.dataFolder, personal)).not.toEqual([])

    const { stdout, stderr, code } = await server.varve('subject', 'forget', 'zdoralinde')
    expect({ code, stdout }).toEqual({ code: 0, stdout: `the user ${id} is forgotten\n` })
    expect(stderr).toContain(id)
    const folded = [...personal, 'zdoralinde', 'Real Z']
    const nothing = async (): Promise<void> => {
      const dump = await dumpOf(server.dataFolder)
      for (const each of folded) expect(dump).not.toContain(each)
      expect(await filesWith(server.dataFolder, folded)).toEqual([])
      expect(server.output()).not.toContain('Zdoralinde')
    }
    await nothing()
    const after = await trail('--actor', id)
    expect(after.filter(({ action }) => lines.some((line) => line.action === action))).toHaveLength(lines.length)
    for (const line of after) expect(line).toEqual(expect.not.objectContaining({ address: expect.anything() as unknown }))
    expect(after.every(({ who }) => who.name === undefined && who.id === id)).toBe(true)

    expect((await from('203.0.113.77', agent, '/v2/team/app/manifests/v1', bearer)).status).toBe(401)
    expect((await server.varve('rebuild', '--verify')).stdout).toBe('the read models are what the log says\n')
    expect((await server.varve('rebuild')).code).toBe(0)
    // The old token was refused above: the trail says whose it was, and no more.
    expect((await trail('--actor', id)).map(({ action }) => action)).toEqual([...after.map(({ action }) => action), 'refused'])
    await nothing()

    expect(await api.created('/users', { username: 'Zdoralinde', email: 'zdoralinde@mail.example.org', password: PASSWORD })).toBeGreaterThan(number)
    expect((await trail('--actor', 'Zdoralinde')).map(({ who }) => who.id)).not.toContain(id)
    expect(await server.varve('subject', 'forget', id)).toMatchObject({ code: 0 })
  })

  it('takes their requests without a login too, and nobody else\'s, and goes on to answer such requests', async () => {
    const { id, nobody, asNobody, personal: [, address = ''] } = await somebody('Ysmerelda', '203.0.113.66')
    expect((await from('198.51.100.9', 'passer-by/1', '/v2/open/app/manifests/v1')).status).toBe(200)
    const passersBy = async (): Promise<Line[]> => (await trail()).filter(({ userAgent }) => userAgent === 'passer-by/1')
    const before = await passersBy()
    expect(before).toMatchObject([{ action: 'pull', address: '198.51.100.9' }])

    expect(await server.varve('subject', 'forget', id)).toMatchObject({ code: 0 })
    expect((await trail('--action', 'user.forgotten')).at(-1)?.parameters).toEqual({ user: id, shared: [nobody] })
    // With other agents, since what is sealed of a caller is kept; and refused for another reason, since one more of the same is counted.
    expect((await from(address, 'later/1', '/v2/open/app/manifests/v1')).status).toBe(200)
    expect((await from(address, 'later/2', '/v2/', 'Bearer of-nothing')).status).toBe(401)
    const shown = async (): Promise<void> => {
      const lines = await trail('--actor', nobody)
      expect(lines.map(({ action }) => action).sort()).toEqual([...asNobody.map(({ action }) => action), 'pull', 'refused'].sort())
      for (const line of lines) expect([line.address, line.userAgent]).toEqual([undefined, undefined])
      expect(await dumpOf(server.dataFolder)).not.toContain(address)
      expect(await filesWith(server.dataFolder, [address])).toEqual([])
      expect(await passersBy()).toEqual(before)
    }
    await shown()
    expect((await server.varve('rebuild', '--verify')).stdout).toBe('the read models are what the log says\n')
    expect((await server.varve('rebuild')).code).toBe(0)
    await shown()
  })

  it.each([
    ['Quentinus', '203.0.113.88', 'the user is ended'],
    ['Ramagunde', '203.0.113.99', 'the keys are destroyed'],
  ])('takes up what was cut short, by id, and without a server: %s at %s, when %s and nothing more', async (name, address, reached) => {
    const { id, nobody, number, personal } = await somebody(name, address)
    expect(await api.asked('DELETE', `/users/${number}`)).toBe('200')
    await server.kill('SIGTERM')
    if (reached === 'the keys are destroyed') for (const key of [nobody, id]) await writeFile(join(server.dataFolder, 'keys', key.slice(0, 2), key), 'forgotten')
    expect((await server.varve('subject', 'forget', name)).code).toBe(1)
    expect(await server.varve('subject', 'forget', id)).toMatchObject({ code: 0, stdout: `the user ${id} is forgotten\n` })
    expect(await server.varve('subject', 'forget', id)).toMatchObject({ code: 0 })
    expect((await trail('--action', 'user.forgotten')).at(-1)?.parameters).toEqual({ user: id, shared: [nobody] })
    expect((await server.varve('rebuild', '--verify')).stdout).toBe('the read models are what the log says\n')
    await server.restart()
    const dump = await dumpOf(server.dataFolder)
    for (const each of personal) expect(dump).not.toContain(each)
    expect(await filesWith(server.dataFolder, personal)).toEqual([])
  })

  it('leaves the last administrator as they are', async () => {
    const { stderr, code } = await server.varve('subject', 'forget', 'admin')
    expect({ code, why: stderr.includes('last administrator') }).toEqual({ code: 1, why: true })
    expect((await from('203.0.113.1', 'x', '/v2/', server.authorization)).status).toBe(200)
    expect((await trail('--actor', 'admin')).length).toBeGreaterThan(0)
  })

  it('says where there is no such user', async () => {
    expect(await server.varve('subject', 'forget', 'nobody-of-this-name')).toMatchObject({ code: 1, stdout: '' })
    expect(await server.varve('subject', 'forget', '00000000-0000-4000-8000-000000000000')).toMatchObject({ code: 1, stdout: '' })
  })
})

describe('varve user reset-password', () => {
  const withInput = async (input: string, ...args: string[]): Promise<{ readonly code: number | null; readonly output: string }> => {
    const main = join(import.meta.dirname, '../../src/main.ts')
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VARVE_')))
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], { env: { ...env, VARVE_DATA: server.dataFolder } })
    child.stdin.end(input)
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), new Promise<number | null>((resolve) => child.once('close', resolve))])
    return { code, output: stdout + stderr }
  }

  it('gives a made password once, and ends what rests on the old one', async () => {
    await api.created('/users', { username: 'rita', email: 'rita@example.org', password: PASSWORD })
    expect((await from('203.0.113.5', 'x', '/v2/', basic('rita', PASSWORD))).status).toBe(200)
    const { stdout, code } = await server.varve('user', 'reset-password', 'Rita')
    expect(code).toBe(0)
    const password = /^the password is now (\w{32})$/m.exec(stdout)?.[1] ?? ''
    let old = 200
    for (let tries = 0; old !== 401 && tries < 100; tries += 1) old = (await from('203.0.113.5', 'x', '/v2/', basic('rita', PASSWORD))).status
    expect(old).toBe(401)
    expect((await from('203.0.113.5', 'x', '/v2/', basic('rita', password))).status).toBe(200)
    const [line] = (await trail('--action', 'password.changed')).slice(-1)
    expect(line?.who).toMatchObject({ kind: 'operator' })
  })

  it('takes one from standard input that keeps the policy', async () => {
    expect(await withInput('short\n', 'user', 'reset-password', 'rita', '--stdin')).toEqual({
      code: 1,
      output: 'varve: the password is shorter than 8 characters, has no upper-case letter, has no digit\n',
    })
    expect(await withInput('Another-1-for-rita\n', 'user', 'reset-password', 'rita', '--stdin')).toEqual({ code: 0, output: 'the password was changed\n' })
    let status = 0
    // A failure more would have to wait.
    for (let tries = 0; status !== 200 && tries < 4; tries += 1) {
      status = (await from('203.0.113.6', 'x', '/v2/', basic('rita', 'Another-1-for-rita'))).status
      if (status !== 200) await sleep(500)
    }
    expect(status).toBe(200)
    expect((await server.varve('user', 'reset-password', 'nobody-of-this-name')).code).toBe(1)
  })
})
