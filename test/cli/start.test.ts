import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { connectToRunning, startEmbeddedPostgres } from '../../src/storage/postgres/embedded.ts'
import { freePort, startVarve } from '../support/server.ts'

it('leaves no Postgres behind where it cannot start: its port is taken', async () => {
  const dataFolder = await mkdtemp(join(tmpdir(), 'varve-start-'))
  const port = await freePort()
  await using other = createServer()
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
  await expect(startVarve({ dataFolder, env: { VARVE_LISTEN: `127.0.0.1:${port}` } })).rejects.toThrow(
    /^Varve ended with 3:\n[^]*started Postgres[^]*\nvarve: VARVE_LISTEN: cannot listen on 127\.0\.0\.1:\d+: another program listens there/,
  )
  const left = await connectToRunning(dataFolder)
  // One that is there would outlive the tests.
  if (left !== undefined) await (await startEmbeddedPostgres({ dataFolder })).stop()
  expect(left).toBeUndefined()
  await rm(dataFolder, { recursive: true, force: true })
})
