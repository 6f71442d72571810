import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, it } from '@jest/globals'
import { LogClient } from '../../src/storage/events/eventstoredb/client.ts'
import { one } from '../support/certificates.ts'
import { startStandIn } from '../support/eventstoredb.ts'
import { temporaryFiles } from '../support/files.ts'
import { registryClient } from '../support/registry.ts'
import { runVarve, startVarve } from '../support/server.ts'

const file = temporaryFiles()
const caFile = file('ca.pem', one.cert)
const tls = ['--tls-cert', caFile, '--tls-key', file('key.pem', one.key)]
const passwordFile = file('password', 'changeit\n')
const PASSWORD = 'p@ss:wörd'

const prepare = (log: string, ...args: string[]) => runVarve({ VARVE_DATA: dirname(caFile), VARVE_LOG: log }, 'eventstoredb', 'prepare', ...args)

it('makes a user that may append and read, and not thin the log; the registry runs as this user, over TLS', async () => {
  const events = await startStandIn(tls)
  const url = (password: string): string => `esdb://varve:${encodeURIComponent(password)}@localhost:${events.port}?tlsCAFile=${caFile}&space=rights`
  const log = url(PASSWORD)

  // Nothing is done before somebody has said that he knows whose rights they are.
  const asked = await prepare(log, '--password-file', passwordFile)
  expect(asked).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/ALL streams of the server.*--whole-server/s) })
  const wrong = await prepare(log, '--password-file', file('wrong', 'nonsense'), '--whole-server')
  expect(wrong).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('UNAUTHENTICATED') })
  expect(events.stored().filter(({ stream }) => stream === '$settings' || stream === '$user-varve')).toEqual([])

  expect(await prepare(log, '--password-file', passwordFile, '--whole-server')).toEqual({
    code: 0,
    stderr: '',
    stdout: 'the user varve was made\nthe rights of all streams were set\n',
  })
  expect(await prepare(log, '--password-file', passwordFile, '--whole-server')).toEqual({
    code: 0,
    stderr: '',
    stdout: 'the user varve was there already\nthe rights of all streams were so already\n',
  })
  expect(await prepare(url('another'), '--password-file', passwordFile, '--whole-server')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('is there one of this name with another password?'),
  })

  const server = await startVarve({ env: { VARVE_LOG: log } })
  const { call, pushImage } = registryClient(server)
  await pushImage('team/app', '1', Buffer.from('a layer'))
  expect((await call('GET', '/v2/team/app/manifests/1')).status).toBe(200)
  expect(await server.varve('audit')).toMatchObject({ code: 0 })
  expect(await server.varve('rebuild', '--verify')).toMatchObject({ code: 0 })
  expect((await events.status()).calls.batchAppend).toBe(0)

  const user = { name: 'varve', password: PASSWORD }
  const asVarve = new LogClient({ nodes: [{ address: 'localhost', port: events.port }], discover: false, user, tls: { ca: readFileSync(caFile) } })
  for (const stream of ['rights.s.log', 'rights.s.projects']) {
    await expect(asVarve.deleteStream(stream)).rejects.toThrow('Access Denied')
    await expect(asVarve.tombstoneStream(stream)).rejects.toThrow('Access Denied')
    await expect(asVarve.setStreamMetadata(stream, { maxCount: 1 })).rejects.toThrow('Access Denied')
  }
  asVarve.close()

  // Neither what was done nor what went wrong shows a password.
  await events.kill('SIGKILL')
  expect((await call('GET', '/v2/team/app/manifests/1')).status).toBe(503)
  expect(server.output()).toContain('the log gave no answer')
  for (const text of [server.output(), wrong.stderr]) expect(text).not.toMatch(/changeit|nonsense|p(@|%40)ss/)
  await server.stop()
  await events.stop()
}, 180_000)

it('refuses to prepare what asks nobody who he is, or is no EventStoreDB', async () => {
  expect(await prepare('esdb://127.0.0.1:2113?tls=false', '--password-file', passwordFile, '--whole-server')).toMatchObject({ code: 2, stderr: expect.stringContaining('TLS') })
  expect(await prepare('postgres://h/d', '--password-file', passwordFile, '--whole-server')).toMatchObject({ code: 2, stderr: expect.stringContaining('names no EventStoreDB') })
  expect(await prepare('esdb://u:p@h', '--whole-server')).toMatchObject({ code: 2, stderr: expect.stringContaining('--password-file') })
})

it.each([
  ['a wrong password', (port: number) => `esdb://admin:wrong@localhost:${port}?tlsCAFile=${caFile}`, 'UNAUTHENTICATED'],
  ['an authority that nobody knows', (port: number) => `esdb://admin:changeit@localhost:${port}`, 'the log gives no answer'],
  ['no TLS where there is some', (port: number) => `esdb://localhost:${port}?tls=false`, 'the log gives no answer'],
])('does not start with %s, and says so', async (_, url, message) => {
  const events = await startStandIn(tls)
  await expect(startVarve({ env: { VARVE_LOG: url(events.port) } })).rejects.toThrow(message)
  await events.stop()
}, 120_000)
