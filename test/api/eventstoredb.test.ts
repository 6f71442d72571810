import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { startStandIn } from '../support/eventstoredb.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'
import { until } from '../support/until.ts'
import { newClient } from '../storage/events/eventstoredb/opened.ts'

type Line = { readonly type: string; readonly stream: string; readonly position: string; readonly data: { readonly pulls?: readonly unknown[] } }

const linesOf = (text: string): Line[] => text.trimEnd().split('\n').map((line) => JSON.parse(line) as Line)

it('pushes, pulls, deletes, audits and rebuilds with its log on EventStoreDB, and goes on after a restart', async () => {
  const events = await startStandIn()
  const server = await startVarve({ env: { VARVE_LOG: `${events.url}&space=e2e` } })
  const { call, pushImage } = registryClient(server)
  const { digest, bytes, layerDigest } = await pushImage('team/app', '1', Buffer.from('a layer'))
  for (const reference of ['1', digest]) {
    const answer = await call('GET', `/v2/team/app/manifests/${reference}`)
    expect([answer.status, Buffer.from(await answer.arrayBuffer()).equals(bytes)]).toEqual([200, true])
  }
  expect((await call('GET', `/v2/team/app/blobs/${layerDigest}`)).status).toBe(200)
  await pushImage('team/app', '2', Buffer.from('another layer'))
  expect((await call('DELETE', '/v2/team/app/manifests/2')).status).toBe(202)
  expect((await call('GET', '/v2/team/app/manifests/2')).status).toBe(404)
  expect(await (await call('GET', '/v2/team/app/tags/list')).json()).toEqual({ name: 'team/app', tags: ['1'] })

  // Its events stand in the space of the URL, a lane a prefix; the first of them are those of every log.
  const stored = events.stored().filter(({ stream }) => stream.startsWith('e2e.'))
  expect([...new Set(stored.slice(0, 6).map(({ stream }) => stream))]).toEqual(['e2e.s.log', 'e2e.s.settings', 'e2e.s.keys', 'e2e.s.users', 'e2e.s.projects'])
  expect((await events.status()).calls.batchAppend).toBe(0)

  const audit = await server.varve('audit', '--json')
  expect(audit).toMatchObject({ code: 0, stderr: '' })
  expect(audit.stdout.match(/"action":"[a-z-]+"/g)).toEqual(expect.arrayContaining(['"action":"pull"']))
  expect(audit.stdout.trimEnd().split('\n').filter((line) => line.includes('"action":"pull"'))).toHaveLength(2)
  const tail = await server.varve('log', 'tail', '-n', '3')
  expect(tail.stderr).toBe('')
  const last = linesOf(tail.stdout)
  expect(last).toHaveLength(3)
  expect(linesOf((await server.varve('log', 'tail', '--from', last[0]?.position ?? '')).stdout)).toEqual(last.slice(1))
  expect(linesOf((await server.varve('log', 'tail', '-n', '100000')).stdout)).toHaveLength(stored.length)
  expect(await server.varve('rebuild', '--verify')).toMatchObject({ code: 0 })
  expect(await server.varve('rebuild')).toMatchObject({ code: 0 })

  await server.restart()
  expect((await call('GET', '/v2/team/app/manifests/1')).status).toBe(200)
  expect((await call('GET', '/v2/team/app/manifests/2')).status).toBe(404)
  await pushImage('team/app', '3', Buffer.from('after the restart'))
  expect((await call('GET', '/v2/team/app/manifests/3')).status).toBe(200)
  expect(await server.varve('rebuild', '--verify')).toMatchObject({ code: 0 })
  await server.kill('SIGTERM')
  expect(await server.varve('rebuild')).toMatchObject({ code: 0 })
  expect(await server.varve('audit')).toMatchObject({ code: 0 })
  expect(server.output()).not.toMatch(/"level":"(warn|error|fatal)"/)
  await server.stop()
  await events.stop()
}, 180_000)

it('says who leads, what was tried again and how far behind it is, waits for a log that is away, and raises an alarm', async () => {
  const events = await startStandIn()
  const server = await startVarve({ env: { VARVE_LOG: `${events.url}&space=e2e` } })
  const { call, pushImage } = registryClient(server)
  const { digest } = await pushImage('team/app', '1', Buffer.from('a layer'))
  const metrics = async (): Promise<string> => (await call('GET', '/metrics')).text()
  expect(await metrics()).toContain(`varve_log_leader{node="127.0.0.1:${events.port}"} 1`)
  const shows = async (line: RegExp): Promise<void> => {
    for (let tries = 0; !line.test(await metrics()); tries += 1) {
      if (tries === 100) throw new Error(`no ${line.source} in\n${await metrics()}`)
      await sleep(100)
    }
  }
  await shows(/^varve_log_subscription_lag_bytes\{lanes="state"\} 0$/m)
  await shows(/^varve_log_subscription_lag_bytes\{lanes="state\+activity"\} 0$/m)
  await shows(/^varve_projection_lag_bytes\{projection="catalogue"\} \d+$/m)
  expect(await metrics()).not.toContain('varve_projection_lag_events{')

  await events.kill('SIGKILL')
  const waiting = Promise.all([call('GET', `/v2/team/app/manifests/${digest}`), call('GET', '/v2/team/app/manifests/1')])
  await sleep(1_000)
  await events.restart()
  expect((await waiting).map(({ status }) => status)).toEqual([200, 200])
  expect(await metrics()).toMatch(/^varve_log_retries_total\{what="append",reason="unavailable"\} [1-9]/m)
  expect(await metrics()).toMatch(/^varve_log_retries_total\{what="subscription",reason="unavailable"\} [1-9]/m)

  await events.kill('SIGKILL')
  const away = await Promise.all([call('GET', `/v2/team/app/manifests/${digest}`), call('POST', '/v2/team/app/blobs/uploads/'), call('DELETE', '/v2/team/app/manifests/1')])
  expect(away.map(({ status }) => status)).toEqual([503, 202, 503])
  expect(away[0].headers.get('retry-after')).toMatch(/^\d+$/)
  expect((await call('GET', '/readyz')).status).toBe(200)
  await events.restart()
  await pushImage('team/app', '4', Buffer.from('it is back'))
  expect((await call('GET', '/v2/team/app/manifests/4')).status).toBe(200)

  expect(await server.varve('rebuild', '--verify')).toMatchObject({ code: 0 })
  expect(server.output()).not.toContain('ALARM')
  const administrator = newClient(events)
  await administrator.setStreamMetadata('e2e.s.settings', { maxAge: 1 })
  await administrator.setStreamMetadata('other.s.settings', { maxAge: 1 })
  await shows(/^varve_log_tampering_total\{how="truncated"\} 1$/m)
  administrator.close()
  expect(server.output().split('\n').filter((line) => line.includes('ALARM'))).toEqual([expect.stringMatching(/"level":"error".*"tampering":"truncated","stream":"settings"/)])
  // For the auditor it is in the log, too.
  const found = async (): Promise<number> => (await server.varve('audit', '--action', 'log.tampering-found', '--json')).stdout.split('\n').filter((line) => line !== '').length
  await until(async () => (await found()) === 1, 'the alarm in the trail')
  await server.stop()
  await events.stop()
}, 180_000)
