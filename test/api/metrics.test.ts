import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import { createMetrics, routeClass } from '../../src/api/metrics.ts'
import type { Metrics } from '../../src/api/metrics.ts'

/** The value of one line of the exposition, by its name and labels. */
const value = async (metrics: Metrics, line: string): Promise<number | undefined> => {
  const { body } = await metrics.render()
  const found = body.split('\n').find((text) => text.startsWith(`${line} `))
  return found === undefined ? undefined : Number(found.slice(line.length + 1))
}

const until = async (condition: () => Promise<boolean>): Promise<void> => {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('waited 10 s in vain')
    await delay(10)
  }
}

describe('metrics', () => {
  test.each([
    ['/v2/', 'base'],
    ['/v2', 'base'],
    ['/v2/_catalog?n=10', 'catalog'],
    ['/v2/a/b/manifests/latest', 'manifest'],
    ['/v2/asof/p1/a/b/manifests/latest', 'manifest'],
    ['/v2/a/manifests/b/tags/list', 'tags'],
    ['/v2/a/blobs/sha256:00', 'blob'],
    ['/v2/a/blobs/uploads/?mount=x', 'upload'],
    ['/v2/a/blobs/uploads/0123', 'upload'],
    ['/v2/a/referrers/sha256:00?artifactType=x', 'referrers'],
    ['/service/token?service=x', 'token'],
    ['/api/v2.0/projects', 'management'],
    ['/healthz', 'health'],
    ['/readyz', 'health'],
    ['/metrics', 'metrics'],
    ['/', 'other'],
    ['/v2/a/unknown/x', 'other'],
    ['*', 'other'],
  ])('%s is of the class %s', (url, expected) => {
    expect(routeClass(url)).toBe(expected)
  })

  test('counts requests, their time and their bytes', async () => {
    const metrics = createMetrics()
    const server = createServer((incoming, response) => {
      metrics.trackRequest(incoming, response)
      incoming.resume()
      if (incoming.method === 'PUT') incoming.on('end', () => { response.writeHead(201).end() })
      else if (incoming.method === 'GET') response.end('x'.repeat(10_000))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      for (let round = 0; round < 2; round += 1) await (await fetch(`http://127.0.0.1:${port}/v2/a/manifests/x`)).text()
      const put = request({ port, host: '127.0.0.1', path: '/v2/a/blobs/uploads/1', method: 'PUT' })
      put.write('y'.repeat(60_000))
      await delay(50)
      put.end('y'.repeat(60_000))
      await once(put, 'response')
      await until(async () => (await value(metrics, 'varve_http_requests_total{method="GET",route="manifest",status="200"}')) === 2)
      await until(async () => (await value(metrics, 'varve_http_requests_total{method="PUT",route="upload",status="201"}')) === 1)
      const waiting = connect({ host: '127.0.0.1', port })
      waiting.write('DELETE /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\n\r\n')
      await until(async () => (await value(metrics, 'varve_http_requests_active')) === 1)
      waiting.destroy()
      await until(async () => (await value(metrics, 'varve_http_requests_total{method="DELETE",route="manifest",status="499"}')) === 1)
      expect(await value(metrics, 'varve_http_requests_active')).toBe(0)
      expect(await value(metrics, 'varve_http_request_seconds_count{method="GET",route="manifest"}')).toBe(2)
      const sent = (await value(metrics, 'varve_http_sent_bytes_total{route="manifest"}')) ?? 0
      expect(sent).toBeGreaterThan(20_000)
      expect(sent).toBeLessThan(21_000)
      const received = (await value(metrics, 'varve_http_received_bytes_total{route="upload"}')) ?? 0
      expect(received).toBeGreaterThan(50_000)
      expect(received).toBeLessThan(121_000)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('counts what the registry does', async () => {
    const metrics = createMetrics()
    metrics.pulled('manifest')
    metrics.pulled('manifest')
    metrics.pushed('blob')
    metrics.committed(3, 0.002)
    metrics.committed(100, 0.004)
    expect(await value(metrics, 'varve_pulls_total{what="manifest"}')).toBe(2)
    expect(await value(metrics, 'varve_pushes_total{what="blob"}')).toBe(1)
    expect(await value(metrics, 'varve_log_batch_events_sum')).toBe(103)
    expect(await value(metrics, 'varve_log_batch_events_bucket{le="4"}')).toBe(1)
    expect(await value(metrics, 'varve_log_commit_seconds_count')).toBe(2)
    expect(await value(metrics, 'process_resident_memory_bytes')).toBeGreaterThan(0)
  })

  test('asks how far projections are behind; one that cannot tell leaves no old figure', async () => {
    const metrics = createMetrics()
    let lag: number | undefined = 7
    metrics.watchLag('catalogue', () => lag)
    metrics.watchLag('pulls', () => Promise.reject(new Error('the database is away')))
    metrics.watchLag('audit', () => Promise.resolve(0))
    expect(await value(metrics, 'varve_projection_lag_events{projection="catalogue"}')).toBe(7)
    expect(await value(metrics, 'varve_projection_lag_events{projection="pulls"}')).toBeUndefined()
    expect(await value(metrics, 'varve_projection_lag_events{projection="audit"}')).toBe(0)
    lag = undefined
    expect(await value(metrics, 'varve_projection_lag_events{projection="catalogue"}')).toBeUndefined()
  })

  test('tells of the log: what was tried again, who leads, how far behind what follows it is', async () => {
    const metrics = createMetrics()
    metrics.retried('append', 'no answer')
    metrics.retried('append', 'no answer')
    metrics.tampered('deleted')
    expect((await metrics.render()).body).toContain('varve_log_retries_total{what="append",reason="no answer"} 2\n')
    expect(await value(metrics, 'varve_log_tampering_total{how="deleted"}')).toBe(1)
    let leader: string | undefined
    metrics.watchLeader(() => leader)
    metrics.watchSubscriptions(() => new Map([['state', 12], ['state+activity', 0]]))
    metrics.watchLag('catalogue', () => 9, 'bytes')
    const { body } = await metrics.render()
    expect(body).not.toContain('varve_log_leader{')
    leader = 'n2:2113'
    expect(await value(metrics, 'varve_log_leader{node="n2:2113"}')).toBe(1)
    leader = 'n3:2113'
    expect(await value(metrics, 'varve_log_leader{node="n2:2113"}')).toBeUndefined()
    expect(await value(metrics, 'varve_log_subscription_lag_bytes{lanes="state"}')).toBe(12)
    expect(await value(metrics, 'varve_projection_lag_bytes{projection="catalogue"}')).toBe(9)
    expect(await value(metrics, 'varve_projection_lag_events{projection="catalogue"}')).toBeUndefined()
  })

  test('two in one process count apart', async () => {
    const [one, other] = [createMetrics(), createMetrics()]
    one.pulled('blob')
    expect(await value(one, 'varve_pulls_total{what="blob"}')).toBe(1)
    expect(await value(other, 'varve_pulls_total{what="blob"}')).toBe(0)
  })
})
