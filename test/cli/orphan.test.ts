import { expect, it } from '@jest/globals'
import { registryClient } from '../support/registry.ts'
import { startVarve } from '../support/server.ts'

it('works on the Postgres that a killed server left, and leaves it for the next start', async () => {
  const server = await startVarve()
  const { digest } = await registryClient(server).pushImage('orphan/app', '1', Buffer.from('layer'))
  await server.kill('SIGKILL')
  const audit = await server.varve('audit', '--action', 'push', '--json')
  expect(audit).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(audit.stdout)).toMatchObject({ digest })
  expect(await server.varve('fsck')).toMatchObject({ code: 0 })
  await server.restart()
  expect(server.output()).toContain('adopted the running Postgres')
  expect((await registryClient(server).call('GET', `/v2/orphan/app/manifests/${digest}`)).status).toBe(200)
})
