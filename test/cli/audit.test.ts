import { beforeAll, describe, expect, it } from '@jest/globals'
import { managementClient } from '../support/management.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'

type Line = Readonly<Record<string, unknown>> & { readonly cursor: string; readonly action: string; readonly digest?: string; readonly requestId?: string }

const AGENT = 'tests/1 \u00e9'

async function answered(server: VarveServer, method: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; requestId: string }> {
  const response = await registryClient(server).call(method, path, { headers: { 'User-Agent': AGENT, ...headers } })
  await response.arrayBuffer()
  return { status: response.status, requestId: response.headers.get('x-request-id') ?? '' }
}

describe('varve audit', () => {
  let server: VarveServer
  let digest: string
  let layerDigest: string
  let requests: Readonly<Record<'tag' | 'digest' | 'head' | 'range' | 'unmodified' | 'blob' | 'deletion', string>>

  async function lines(...args: string[]): Promise<Line[]> {
    const { stdout, stderr, code } = await server.varve('audit', '--json', ...args)
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
    return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]))
  }

  beforeAll(async () => {
    server = await startVarve()
    const client = registryClient(server)
    const pushed = await client.pushImage('team/app', 'v1', Buffer.from('a layer of the image'))
    await client.pushImage('other', 'v1', Buffer.from('another image'))
    ;({ digest, layerDigest } = pushed)
    const manifest = `/v2/team/app/manifests/${digest}`
    const done = {
      tag: await answered(server, 'GET', '/v2/team/app/manifests/v1'),
      digest: await answered(server, 'GET', manifest),
      head: await answered(server, 'HEAD', '/v2/team/app/manifests/v1'),
      range: await answered(server, 'GET', manifest, { Range: 'bytes=0-3' }),
      unmodified: await answered(server, 'GET', '/v2/team/app/manifests/v1', { 'If-None-Match': `"${digest}"` }),
      blob: await answered(server, 'GET', `/v2/team/app/blobs/${layerDigest}`, { Range: 'bytes=2-5' }),
      deletion: await answered(server, 'DELETE', '/v2/team/app/manifests/v1'),
    }
    expect(Object.values(done).map((each) => each.status)).toEqual([200, 200, 200, 206, 304, 206, 202])
    requests = {
      tag: done.tag.requestId,
      digest: done.digest.requestId,
      head: done.head.requestId,
      range: done.range.requestId,
      unmodified: done.unmodified.requestId,
      blob: done.blob.requestId,
      deletion: done.deletion.requestId,
    }
  })

  it('prints a line a pull, with what was asked, by whom and from where', async () => {
    const pulls = await lines('--action', 'pull')
    const of = (requestId: string): Line | undefined => pulls.find((line) => line.requestId === requestId)
    const common = {
      cursor: expect.stringMatching(/^[a-z0-9]{8}-\d+\.\d+$/) as unknown,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown,
      action: 'pull',
      repository: 'team/app',
      digest,
      artifact: 'manifest',
      who: { kind: 'user', id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown, name: 'admin' },
      address: '127.0.0.1',
      userAgent: AGENT,
    }
    expect(of(requests.tag)).toEqual({ ...common, requestId: requests.tag, reference: 'v1', method: 'GET', status: 200 })
    expect(of(requests.digest)).toEqual({ ...common, requestId: requests.digest, reference: digest, method: 'GET', status: 200 })
    expect(of(requests.head)).toEqual({ ...common, requestId: requests.head, reference: 'v1', method: 'HEAD', status: 200 })
    expect(of(requests.range)).toEqual({ ...common, requestId: requests.range, reference: digest, method: 'GET', status: 206 })
    expect(of(requests.unmodified)).toEqual({ ...common, requestId: requests.unmodified, reference: 'v1', method: 'GET', status: 304 })
    expect(pulls).toHaveLength(5)
  })

  it('has pulls of blobs where they are asked for, in one order with the rest', async () => {
    const all = await lines('--blobs')
    expect(all.filter((line) => line.requestId === requests.blob)).toEqual([
      expect.objectContaining({ action: 'pull', artifact: 'blob', digest: layerDigest, status: 206, range: '2-5', repository: 'team/app', userAgent: AGENT }),
    ])
    const without = await lines()
    expect(all.filter((line) => line['artifact'] !== 'blob').map((line) => ({ ...line, range: undefined }))).toEqual(without.map((line) => ({ ...line, range: undefined })))
    const numbers = all.map((line) => /-(\d+)(?:\.(\d+))?$/.exec(line.cursor)?.slice(1).map((part) => Number(part)) ?? [])
    expect(numbers).toEqual([...numbers].sort(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d))
  })

  it('says what was pushed and deleted', async () => {
    expect((await lines('--repository', 'team/app')).map((line) => line.action)).toEqual([
      'blob.uploaded', 'blob.uploaded', 'repository.created', 'push', 'tag.assigned', 'pull', 'pull', 'pull', 'pull', 'pull', 'tag.deleted',
    ])
    expect(await lines('--action', 'tag.deleted')).toEqual([
      expect.objectContaining({ repository: 'team/app', tag: 'v1', digest, requestId: requests.deletion, who: expect.objectContaining({ name: 'admin' }) as unknown }),
    ])
  })

  it('finds what each filter names, and nothing else', async () => {
    const all = await lines()
    const [first] = all.filter((line) => line.action === 'push')
    expect((await lines('--tag', 'v1', '--repository', 'team/app')).map((line) => line.action)).toEqual(['push', 'tag.assigned', 'pull', 'pull', 'pull', 'tag.deleted'])
    expect((await lines('--digest', layerDigest)).map((line) => line.action)).toEqual(['blob.uploaded'])
    expect((await lines('--digest', layerDigest, '--blobs')).map((line) => line.action)).toEqual(['blob.uploaded', 'pull'])
    expect(await lines('--actor', 'nobody')).toEqual([])
    const admins = await lines('--actor', 'admin')
    const { id } = admins[0]?.['who'] as { id: string }
    expect(await lines('--actor', id)).toEqual(admins)
    expect(admins).toEqual(all.filter((line) => (line['who'] as { kind: string }).kind === 'user'))
    expect(await lines('--repository', 'library/other')).toEqual(await lines('--repository', 'other'))
    expect(await lines('--repository', 'team/none')).toEqual([])
    const position = first?.cursor ?? ''
    const index = all.findIndex((line) => line.cursor === position)
    expect(await lines('--since', position)).toEqual(all.slice(index))
    expect(await lines('--until', position)).toEqual(all.slice(0, index + 1))
    const time = String(first?.['time'])
    expect(await lines('--since', time, '--until', time)).toEqual(all.filter((line) => line['time'] === time))
  })

  it('means by a name the project that has it, or had it last', async () => {
    const [client, management] = [registryClient(server), managementClient(server)]
    const made: string[] = []
    const found = async (): Promise<unknown[]> => (await lines('--repository', 'again/app', '--action', 'push')).map((line) => line.digest)
    for (const life of ['first', 'second', 'third']) {
      const pushed = await client.pushImage('again/app', 'v1', Buffer.from(`an image of the ${life} life`))
      made.push(pushed.digest)
      expect(await found()).toEqual(made.slice(-1))
      expect((await client.call('DELETE', `/v2/again/app/manifests/${pushed.digest}`)).status).toBe(202)
      expect(await management.asked('DELETE', '/projects/again')).toBe('200')
      expect(await found()).toEqual(made.slice(-1))
    }
  })

  it.each([
    [['--since', 'yesterday'], 'neither a time'],
    [['--until', '2026-02-31T00:00:00Z'], 'neither a time'],
    [['--since', 'otherlog-1'], 'another log'],
    [['--action', 'pulls'], 'one of'],
    [['--limit', '0'], 'whole number'],
    [['--tag', 'a b'], 'no tag'],
    [['--digest', 'sha256:abc'], 'no digest'],
    [['--repository', 'Team/App'], "no repository's name"],
    [['--repository', 'nowhere/app'], 'there is no project nowhere'],
    [['--json', '--csv'], 'exclude'],
  ])('refuses %j', async (args, message) => {
    const { stdout, stderr, code } = await server.varve('audit', ...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })

  it.each([
    [['--lines', 'ten'], '--lines is a number'],
    [['--from', 'otherlog-1'], 'another log'],
  ])('as varve log tail refuses %j', async (args, message) => {
    const { stdout, stderr, code } = await server.varve('log', 'tail', ...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })

  it('prints a table, and says where more would be', async () => {
    const { stdout, stderr, code } = await server.varve('audit', '--limit', '4')
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(5)
    expect(stdout).toMatch(/^TIME +ACTION +REPOSITORY +REFERENCE +DIGEST +WHO +ADDRESS +CURSOR\n/)
    expect(stderr).toContain('more than 4 entries')
  })

  it('prints CSV that no spreadsheet runs', async () => {
    await answered(server, 'GET', `/v2/team/app/manifests/${digest}`, { 'User-Agent': '=cmd|"a,b"' })
    const { stdout, code } = await server.varve('audit', '--csv', '--action', 'pull')
    expect(code).toBe(0)
    const rows = stdout.split('\r\n')
    expect(rows[0]).toMatch(/^cursor,time,action,repository,/)
    expect(rows.at(-2)).toContain(`,"'=cmd|""a,b""",`)
  })

  it('tells the same without a server', async () => {
    const beside = await lines()
    await server.kill('SIGTERM')
    expect(await lines()).toEqual(beside)
    await server.restart()
  })
})
