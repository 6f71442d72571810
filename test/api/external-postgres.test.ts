import { expect, it } from '@jest/globals'
import { Client } from 'pg'
import { testDatabase } from '../support/postgres.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'

it('starts on read models of another release, which it makes anew from the log', async () => {
  const database = await testDatabase()
  const { user, host, port, database: name } = database.connection
  const server = await startVarve({ env: { VARVE_POSTGRES_URL: `postgres://${user}@${encodeURIComponent(host)}:${port}/${name}` } })
  await registryClient(server).pushImage('kept/app', '1', Buffer.from('layer'))
  await server.kill('SIGTERM')
  const client = new Client(database.connection)
  await client.connect()
  await client.query("alter table rm_1.projects drop column deletion; comment on schema rm_1 is 'of another release'")
  await client.end()
  await server.restart()
  expect((await registryClient(server).call('GET', '/v2/kept/app/manifests/1')).status).toBe(200)
  await registryClient(server).pushImage('another/app', '1', Buffer.from('layer'))
  expect(await server.varve('rebuild', '--verify')).toMatchObject({ code: 0 })
  await server.stop()
  await database.drop()
})

it('works on a Postgres that is not its own, alone, with commands beside it and after it', async () => {
  const database = await testDatabase()
  const { connection } = database
  const url = `postgres://${connection.user}@${encodeURIComponent(connection.host)}:${connection.port}/${connection.database}`
  const server = await startVarve({ env: { VARVE_POSTGRES_URL: url } })
  await registryClient(server).pushImage('elsewhere/app', '1', Buffer.from('layer'))

  await expect(startVarve({ env: { VARVE_POSTGRES_URL: url } })).rejects.toThrow('another Varve server works on this Postgres')
  expect(await server.varve('rebuild')).toMatchObject({ code: 0 })
  expect(await server.varve('rebuild', '--verify')).toMatchObject({ code: 0 })
  expect((await registryClient(server).call('GET', '/v2/elsewhere/app/manifests/1')).status).toBe(200)
  await server.kill('SIGTERM')
  expect(await server.varve('rebuild')).toMatchObject({ code: 0 })
  await server.restart()
  expect((await registryClient(server).call('GET', '/v2/elsewhere/app/manifests/1')).status).toBe(200)
  await server.stop()
  await database.drop()
})
