import { expect, it } from '@jest/globals'
import { testDatabase } from '../support/postgres.ts'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'

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
