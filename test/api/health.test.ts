import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import type { VarveServer } from '../support/server.ts'
import { wireClient } from '../support/wire.ts'
import { one, two } from '../support/certificates.ts'

describe('without a metrics token', () => {
  let server: VarveServer
  let wire: ReturnType<typeof wireClient>

  beforeAll(async () => {
    server = await startVarve()
    wire = wireClient(server)
  })

  afterAll(() => {
    wire.close()
  })

  test.each([
    ['/healthz', { status: 'ok' }],
    ['/readyz', { status: 'ready', problems: [] }],
  ])('%s needs no password', async (path, body) => {
    const answer = await wire.sound('GET', path, { anonymous: true })
    expect([answer.status, JSON.parse(answer.body.toString())]).toEqual([200, body])
    expect((await wire.sound('HEAD', path, { anonymous: true })).status).toBe(200)
  })

  test.each(['/healthz', '/readyz', '/metrics'])('%s is only read', async (path) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const answer = await wire.sound(method, path, { anonymous: true, ...(method === 'OPTIONS' ? {} : { body: 'x' }) })
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, 'GET, HEAD'])
    }
  })

  /** A line of the metrics, by its beginning. */
  const metric = async (line: string): Promise<number> => {
    const { body } = await wire.sound('GET', '/metrics', { anonymous: true })
    const found = body.toString().split('\n').find((text) => text.startsWith(`${line} `))
    return Number(found?.slice(line.length + 1) ?? 0)
  }

  test('/metrics counts pulls and pushes, each once', async () => {
    const { layerDigest } = await registryClient(server).pushImage('p/app', 'v1', Buffer.from('counted'))
    expect(await metric('varve_pushes_total{what="blob"}')).toBe(2)
    expect(await metric('varve_pushes_total{what="manifest"}')).toBe(1)
    await wire.asked('PUT', '/v2/p/app/manifests/bad', { body: '{' })
    await wire.asked('POST', `/v2/p/app/blobs/uploads/?digest=${layerDigest}`, { body: 'another' })
    await wire.asked('POST', `/v2/p/copy/blobs/uploads/?mount=${layerDigest}&from=p/app`)
    expect(await metric('varve_pushes_total{what="blob"}')).toBe(3)
    expect(await metric('varve_pushes_total{what="manifest"}')).toBe(1)

    await wire.asked('GET', '/v2/p/app/manifests/v1')
    await wire.asked('GET', '/v2/p/app/manifests/v1')
    await wire.asked('HEAD', '/v2/p/app/manifests/v1')
    await wire.asked('GET', '/v2/p/app/manifests/v1', { headers: { 'If-None-Match': '*' } })
    await wire.asked('GET', '/v2/p/app/manifests/none')
    await wire.asked('GET', `/v2/p/app/blobs/${layerDigest}`, { headers: { Range: 'bytes=0-1' } })
    expect(await metric('varve_pulls_total{what="manifest"}')).toBe(2)
    expect(await metric('varve_pulls_total{what="blob"}')).toBe(1)
    expect(await metric('varve_http_requests_total{method="GET",route="manifest",status="404"}')).toBe(1)
    expect(await metric('varve_log_commit_seconds_count')).toBeGreaterThan(5)
  })
})

test('/metrics asks for its token where there is one', async () => {
  const server = await startVarve({ env: { VARVE_METRICS_TOKEN: 'a-token-for-tests' } })
  const wire = wireClient(server)
  for (const authorization of [undefined, 'Bearer', 'Bearer wrong', 'Bearer a-token-for-test', 'bearer  a-token-for-tests', server.authorization, '\u00ff']) {
    const answer = await wire.sound('GET', '/metrics', { anonymous: true, headers: authorization === undefined ? {} : { Authorization: authorization } })
    expect([authorization, answer.status, answer.headers['www-authenticate']]).toEqual([authorization, 401, 'Bearer realm="varve"'])
  }
  const answer = await wire.sound('GET', '/metrics', { anonymous: true, headers: { Authorization: 'Bearer a-token-for-tests' } })
  expect([answer.status, answer.headers['content-type']]).toEqual([200, expect.stringContaining('text/plain')])
  expect(server.output()).not.toContain('a-token-for-tests')
  wire.close()
  await server.stop()
})

test('HTTPS serves, and takes a new certificate without a restart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-tls-'))
  const tls = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
  const place = async (pair: typeof one): Promise<void> => {
    for (const [text, file] of [[pair.key, tls.keyFile], [pair.cert, tls.certFile]] as const) {
      await writeFile(`${file}.new`, text)
      await rename(`${file}.new`, file)
    }
  }
  await place(one)
  const server = await startVarve({ tls })
  expect(server.url).toMatch(/^https:/)
  const [host = '', port] = server.host.split(':')

  const get = (path: string, ca: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ host, port, path, ca, agent: false, headers: { Authorization: server.authorization } }, (incoming) => {
        buffer(incoming).then((bytes) => {
          resolve(`${incoming.statusCode ?? 0} ${bytes.toString()}`)
        }, reject)
      })
      outgoing.once('error', reject).end()
    })
  expect(await get('/v2/', one.cert)).toBe('200 {}')
  await expect(get('/v2/', two.cert)).rejects.toThrow()

  // A connection that is open stays so.
  const open = connect({ host, port: Number(port), ca: one.cert })
  await new Promise((resolve) => open.once('secureConnect', resolve))
  await place(two)
  const deadline = Date.now() + 20_000
  while ((await get('/healthz', two.cert).catch(() => '')) === '') {
    if (Date.now() > deadline) throw new Error('the new certificate was not taken')
    await delay(100)
  }
  await expect(get('/v2/', one.cert)).rejects.toThrow()
  open.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  expect((await buffer(open)).toString()).toMatch(/^HTTP\/1\.1 200 /)
  await server.stop()
  await rm(folder, { recursive: true })
})
